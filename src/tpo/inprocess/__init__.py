"""Shared parts of in-process policies and rewards: checkpoint, chat template, queue, worker thread."""

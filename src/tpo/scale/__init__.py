"""Runs beyond one process: shards merged into one run, and runs on a Ray cluster."""

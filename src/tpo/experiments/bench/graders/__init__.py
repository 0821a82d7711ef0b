"""Graders: judges, rewards, mathematics and refusals; grades and their metrics."""

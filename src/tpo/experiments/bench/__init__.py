"""Benchmarks: query sets, graders, and tables of results; one short module per benchmark."""

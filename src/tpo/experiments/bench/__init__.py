"""Benchmarks: a data set, how a row becomes a query, and how an answer is graded; one short file each."""

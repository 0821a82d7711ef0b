"""Benchmarks and sweeps: runs that are compared."""

"""Experiments: benchmarks, and sweeps over methods and settings."""

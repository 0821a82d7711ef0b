"""Benchmarks graded by pairwise comparison: AlpacaEval 2 and Arena-Hard."""

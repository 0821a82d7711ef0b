"""Benchmarks that a judge grades by comparing two answers: AlpacaEval 2 and Arena-Hard."""

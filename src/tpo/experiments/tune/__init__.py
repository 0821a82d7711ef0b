"""Tuning: the method, N, D and rule with the highest score for a budget, measured on a sample."""

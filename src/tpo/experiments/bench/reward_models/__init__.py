"""RewardBench 2: a benchmark of reward models by best-of-4 choices (Malik et al. 2025, arXiv 2506.01937)."""

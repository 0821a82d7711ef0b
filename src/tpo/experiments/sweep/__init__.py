"""Sweeps: methods, N, D, rewards and seeds crossed over one data set, compared at equal cost."""

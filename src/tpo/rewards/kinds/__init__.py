"""The kinds of ``--reward``, one file each; a Python function's is :mod:`tpo.rewards.function`."""

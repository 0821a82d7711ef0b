"""The kinds of ``--policy``, one file each; a Python function's is :mod:`tpo.policies.function`."""

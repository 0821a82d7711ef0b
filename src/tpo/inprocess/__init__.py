"""What in-process policies and rewards share: a checkpoint, its chat template, what waits, one thread."""

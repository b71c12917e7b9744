"""The trainer and what keeps a run alive: checkpoints and processes."""

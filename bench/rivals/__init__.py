"""Other people's tools beside ours: evaluators, a load generator, a training loop."""

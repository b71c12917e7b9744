"""One module a kind of cell: training, accuracy, efficiency, latency."""

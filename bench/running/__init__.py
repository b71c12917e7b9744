"""What a run does: the options, what fits into the time, each cell in turn, its record."""

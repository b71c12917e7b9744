"""What the ablation compares: its rows, how they are built, and the points of an axis."""

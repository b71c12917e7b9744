"""The measuring suite: run cells, keep records, render tables."""

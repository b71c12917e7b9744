"""Data sets, captions, augmentations, and the corpora that models read."""

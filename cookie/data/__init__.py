"""Data sets, captions, augmentations, and the corpora that models read."""

from cookie.data import karpathy, scenes  # they register their loaders
from cookie.data.catalog import load_dataset
from cookie.data.dataset import RetrievalDataset, Split, datasets
from cookie.data.pixels import open_pixels

__all__ = [
    "RetrievalDataset",
    "Split",
    "datasets",
    "karpathy",
    "load_dataset",
    "open_pixels",
    "scenes",
]

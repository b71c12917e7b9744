"""Tests of ``cookie/photos``."""

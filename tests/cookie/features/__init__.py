"""Tests of ``cookie/features``."""

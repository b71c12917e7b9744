"""Tests of ``bench/running``."""

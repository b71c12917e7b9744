"""Tests of ``bench/rivals``."""

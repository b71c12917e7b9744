"""Tests of ``bench/checks``."""

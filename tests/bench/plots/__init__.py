"""Tests of ``bench/plots``."""

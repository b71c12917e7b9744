"""Tests of ``bench/findings``."""

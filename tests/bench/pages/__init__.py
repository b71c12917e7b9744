"""Tests of ``bench/pages``."""

"""Tests of ``bench/sharing``."""

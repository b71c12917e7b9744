"""Tests of ``bench/material``."""

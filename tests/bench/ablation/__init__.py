"""Tests of ``bench/ablation``."""

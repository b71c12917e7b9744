"""Tests of the trainer, its files and its processes."""

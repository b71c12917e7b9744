"""Tests of the model parts."""

"""Tests of the kinds of cells."""

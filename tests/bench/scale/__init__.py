"""Tests of the page on sizes beyond one machine."""

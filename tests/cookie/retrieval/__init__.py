"""Tests of cookie/retrieval."""

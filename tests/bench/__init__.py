"""Tests of the measuring suite."""

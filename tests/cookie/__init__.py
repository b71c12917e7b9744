"""Tests of the cookie package."""

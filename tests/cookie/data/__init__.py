"""Tests of cookie.data."""

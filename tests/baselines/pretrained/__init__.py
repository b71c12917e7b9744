"""Tests of the adapters: random weights of small configurations, no network."""

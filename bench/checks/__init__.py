"""Checks of what lies under ``results/``: records, and the pages made from them."""

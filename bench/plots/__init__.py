"""Plots as SVG and PNG, legible without color."""

"""Decide on recordings which parts of a model stay in float32, and measure the ranges of its values."""

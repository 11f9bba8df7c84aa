"""Measure a bundle on the machine at hand: ``sewd bench``."""

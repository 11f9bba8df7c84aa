"""Comparison of sewd with other ways to run SEW-D: a table of variants, a process for each, one run."""

"""Measurements of sewd, and the training of its models; run from the root of the repository."""

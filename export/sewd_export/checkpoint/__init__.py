"""A checkpoint, read safely."""

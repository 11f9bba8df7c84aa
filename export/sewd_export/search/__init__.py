"""Which parts of a model stay in float32, and the recordings that decide it."""

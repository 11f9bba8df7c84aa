"""Read a checkpoint safely."""

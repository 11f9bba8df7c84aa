"""A bundle's model, run by an inference library."""

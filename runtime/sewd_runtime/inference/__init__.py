"""Running a bundle's model in an inference library."""

"""A bundle on disk: its manifest and its files."""

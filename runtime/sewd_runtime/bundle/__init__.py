"""The bundle on disk: its manifest and its files."""

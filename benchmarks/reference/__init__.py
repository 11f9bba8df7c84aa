"""The recipes of the models trained here: digits and keywords."""

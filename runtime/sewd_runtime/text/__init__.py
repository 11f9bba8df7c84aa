"""Tokens as text, words, times and file formats."""

"""Recordings as samples."""

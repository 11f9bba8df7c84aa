"""Recordings of any length."""

"""The figures of docs/accuracy.md, one section a module."""

"""The figures of docs/accuracy.md, one module per section."""

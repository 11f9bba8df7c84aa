"""Speed and parity on an NVIDIA GPU: `python -m gpu`; docs/engines.md says what was run of it."""

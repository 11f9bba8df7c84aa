"""Speed and parity on an NVIDIA GPU: `python -m benchmarks.gpu`; docs/engines.md says what was run of it."""

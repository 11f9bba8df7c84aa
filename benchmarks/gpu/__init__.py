"""Speed and parity on an NVIDIA GPU; docs/engines.md says what was run."""

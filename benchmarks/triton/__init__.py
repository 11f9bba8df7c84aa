"""A real Triton Inference Server, from the wheel nvidia-pytriton, and what it adds to a run."""

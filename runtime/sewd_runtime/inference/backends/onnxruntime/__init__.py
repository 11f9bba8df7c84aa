"""Models in onnxruntime, on any of its execution providers."""

"""Models in onnxruntime, whose execution providers are most of our providers."""

"""Engines that TensorRT built ahead of time."""

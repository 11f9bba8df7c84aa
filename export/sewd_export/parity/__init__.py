"""Compare a graph with the original."""

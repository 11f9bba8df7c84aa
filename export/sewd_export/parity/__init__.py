"""The proof that a graph equals the original."""

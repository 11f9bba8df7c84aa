"""Language models: their scores in a beam search, and small n-gram models made from text."""

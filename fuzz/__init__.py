"""Mutated input: each file must be accepted or refused by name (docs/reliability.md).

A kind of input is a module with two functions: ``make(random)`` returns a ``Mutant``, the same for the same
random numbers, and ``attempt(folder)`` does with its files what a user would.
"""

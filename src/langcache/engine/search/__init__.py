"""Nearest-neighbour search: vectors in, rows out.

A score is the dot product of two vectors of length 1, so a cosine in [-1, 1]. This package knows
nothing of entries, namespaces, TTLs or clocks.
"""

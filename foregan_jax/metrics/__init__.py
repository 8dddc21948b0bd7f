"""Scores; they need no JAX and no other part of the package."""

"""Scores; importable alone, no JAX needed."""

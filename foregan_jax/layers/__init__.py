"""Linen blocks and array operations that several methods share."""

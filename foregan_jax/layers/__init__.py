"""Linen blocks and array operations that methods share."""

"""Segmentation of the parts of faces, and classification of expressions."""

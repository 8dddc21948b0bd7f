"""RGMP: reference-guided mask propagation."""

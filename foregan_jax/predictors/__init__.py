"""Uses of a trained run: propagate masks, cut out objects, generate data."""

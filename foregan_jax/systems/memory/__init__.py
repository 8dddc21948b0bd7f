"""A propagator with a memory, on a trunk that is installed with pip."""

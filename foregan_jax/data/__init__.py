"""Data sources on disk, the input pipeline, and checks of data sets."""

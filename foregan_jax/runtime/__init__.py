"""Infrastructure of every run, independent of the method."""

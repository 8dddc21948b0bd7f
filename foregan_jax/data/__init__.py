"""Sources on disk, the input pipeline, the embedded demo world."""

"""Data sets as array_record files: readers in `records`, one builder each."""

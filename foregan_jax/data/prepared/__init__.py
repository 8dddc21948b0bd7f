"""Data sets prepared once as array_record files, and their builders."""

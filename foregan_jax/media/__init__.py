"""Pictures and videos read and written; no training, no network."""

"""Reading and writing of pictures and videos; no training, no network."""

"""One file per family of networks; nothing here depends on training."""

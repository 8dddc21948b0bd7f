"""What every run needs and no method knows."""

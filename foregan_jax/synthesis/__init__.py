"""Synthesis of pseudo-videos on the device, from stills and filmed clips."""

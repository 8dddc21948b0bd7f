"""Pseudo-videos made on the device from stills, masks and cameras."""

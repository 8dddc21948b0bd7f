"""Improved Layered GANs: layers from noise and a segmenter."""

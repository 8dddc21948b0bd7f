"""Video object segmentation with layered GANs."""

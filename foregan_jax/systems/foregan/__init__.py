"""VOS-ForeGAN: layers, a segmenter and a propagator train each other."""

"""A CycleGAN on regions of faces; its parts are in `system`."""

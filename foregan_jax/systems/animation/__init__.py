"""Image animation with perturbed masks; its parts are in `system`."""

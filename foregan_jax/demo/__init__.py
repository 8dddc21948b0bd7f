"""The embedded world: videos and stills, rendered into ordinary folders."""

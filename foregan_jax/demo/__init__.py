"""The demo data: videos and stills, rendered into ordinary folders."""

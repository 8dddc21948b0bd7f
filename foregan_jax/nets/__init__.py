"""Families of networks; nothing here knows about training."""

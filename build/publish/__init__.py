"""Verified image to registry: immutable tag, read back, moving tags."""

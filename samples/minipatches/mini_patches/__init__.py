"""Patches for the sample package."""

"""A small Python server with a toy model."""

__version__ = "0.3.1"

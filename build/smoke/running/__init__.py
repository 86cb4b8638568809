"""Proofs that run the image; one file a check."""

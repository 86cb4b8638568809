"""Measures images: speed, and whether it lasts. `pipeline/` measures the pipeline itself."""

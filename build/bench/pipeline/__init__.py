"""Measures the pipeline itself against the tools below it, as ratios within one run."""

"""Measures: the pipeline against the tools below it, as ratios within one run."""

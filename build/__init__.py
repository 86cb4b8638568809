"""Ingot's pipeline: recipe, pin, plan, image, smoke, publish. `python -m build --help` says what it does."""

"""Changes installed packages while an image is built and writes down what happened: the patch ledger.

Runs inside the image's own Python, so it knows the standard library alone. It reads `orders.json`, writes the ledger.
"""

"""What smoke runs inside a Python image, mounted at test time only: the image's own interpreter, its packages, stdlib.

Imports nothing of Ingot: in the image this folder is a package of its own.
"""

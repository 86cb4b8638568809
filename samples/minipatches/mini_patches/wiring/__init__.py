"""One module a patch."""

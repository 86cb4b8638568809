"""The only modules that touch the outside; each the one importer of its package."""

"""What will be built: fingerprint, Dockerfile, bake file, labels and tags. Pure."""

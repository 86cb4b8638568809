"""What the world answered: source, patches, toolchain and base, each proven and named by a hash."""

"""Image to verdict: static proofs from the layout, running proofs in containers."""

"""Image to verdict: built again from its bundle under other conditions, compared to the byte, each difference named."""

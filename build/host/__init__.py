"""The machine Ingot runs on: what is missing, and a private engine and registry where there is none."""

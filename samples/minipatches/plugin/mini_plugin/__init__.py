"""Runs the patches where the sample package loads its plugins."""


def register() -> None:
    from miniserve._patches import apply_all

    apply_all.run()

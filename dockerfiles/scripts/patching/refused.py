"""The one error of this program: the orders cannot be carried out as they are."""

__all__ = ["Refused"]


class Refused(Exception):
    """Ends the build; its text says which patch, which file, and why."""

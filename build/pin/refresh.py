"""Refresh of the committed locks. The one part of this station that writes tracked files."""

"""Upstream followed: what is new there, and recipes that begin. The only station that writes recipes."""

"""Talks to people: one module per command, loaded when it is chosen."""

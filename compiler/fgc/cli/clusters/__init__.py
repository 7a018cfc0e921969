"""Launches a compiled configuration on other machines: files and commands, which a dry run prints unchanged."""

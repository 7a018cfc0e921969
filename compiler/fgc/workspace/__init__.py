"""Disk: search paths, projects, caches, and writing builds."""

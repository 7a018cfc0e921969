"""YAML text to nodes that remember where they were written."""

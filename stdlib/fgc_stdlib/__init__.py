"""The template library: YAML templates, no code."""

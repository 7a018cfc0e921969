"""Compiles machine-learning experiment configurations into standalone, readable Python programs."""

__version__ = "0.1.0"

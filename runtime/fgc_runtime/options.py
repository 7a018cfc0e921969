"""Texts of a command line to values, for the options of generated programs."""

import os

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def boolean(text: str) -> bool:
    """`true`, `yes`, `on`, `1` or their opposites, in any case. Raises ValueError, as argparse wants it."""
    if text.lower() not in _TRUTH:
        raise ValueError(f"{text!r} is neither true nor false")
    return _TRUTH[text.lower()]


def absolute_path(text: str) -> str:
    """A path with `~` expanded, seen from the current folder."""
    return os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 -- keeps `..` and links as they are named

"""Lays out generated text with Black, which takes half of the time to write a program, and fills prose."""

from collections.abc import Callable
from typing import TypeAlias

from fgc.emit.prose import filled

LINE_WIDTH = 88
Layout: TypeAlias = Callable[[str], str]


def black_layout(text: str) -> str:
    """Returns Python text formatted by Black, with docstrings and comments filled to the same width."""
    import black  # 0.1 s, not needed for a text with a known layout
    from black.mode import TargetVersion

    mode = black.Mode(line_length=LINE_WIDTH, target_versions={TargetVersion.PY311})
    return filled(black.format_str(text, mode=mode), LINE_WIDTH)

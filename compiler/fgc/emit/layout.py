"""The layout of generated text: Black's, whose passes are half of what a program costs to write, and filled prose."""

from collections.abc import Callable
from typing import TypeAlias

from fgc.emit.prose import filled

LINE_WIDTH = 88
Layout: TypeAlias = Callable[[str], str]


def black_layout(text: str) -> str:
    """Python text as Black lays it out, docstrings and comments filled to the same width."""
    import black  # 0.1 s, which a text with a known layout does without
    from black.mode import TargetVersion

    mode = black.Mode(line_length=LINE_WIDTH, target_versions={TargetVersion.PY311})
    return filled(black.format_str(text, mode=mode), LINE_WIDTH)

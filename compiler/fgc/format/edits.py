"""Replacements in a text, collected first and made all at once."""

from collections.abc import Iterable

from msgspec import Struct


class FormatEdit(Struct, frozen=True):
    """The characters from `start` to `end` become `text`."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[FormatEdit]) -> str:
    """The text with all replacements made, which must not overlap."""
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        assert edit.start >= position, f"two edits overlap at {edit.start}"
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*parts, text[position:]])

"""Formats differences as lines for users and as JSON for tools."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fgc.compare.differences import Change, Difference, Side

_RED, _GREEN, _YELLOW, _BOLD, _DIM, _RESET = "\033[31m", "\033[32m", "\033[33m", "\033[1m", "\033[2m", "\033[0m"
_SIGNS = {Change.ADDED: ("+", _GREEN), Change.REMOVED: ("-", _RED), Change.MOVED: (">", _YELLOW)}


def differences_to_text(differences: Iterable[Difference], *, use_color: bool = False) -> str:
    """A line for each difference: what, from, to, and the places of both."""
    return "".join(f"{_line(difference, use_color)}\n" for difference in differences)


def _line(item: Difference, use_color: bool) -> str:
    def paint(text: str, tint: str) -> str:
        return f"{tint}{text}{_RESET}" if use_color else text

    sign, tint = _SIGNS.get(item.change, ("~", _YELLOW))
    old = paint(item.old.text, _RED) if item.old is not None else ""
    new = paint(item.new.text, _GREEN) if item.new is not None else ""
    head = f"{paint(sign, tint)} {paint(item.path, _BOLD)}"
    places = paint(_places(item.old, item.new), _DIM)
    if item.old is None or item.new is None:
        return f"{head} = {old or new}  {places}"
    if item.change is Change.MOVED:
        return f"{paint(sign, tint)} {item.old.path} is {paint(item.path, _BOLD)} now  {places}"
    if item.change in (Change.SHARED, Change.SEPARATE):
        is_shared = item.change is Change.SHARED
        words = "one object now; it was a separate one" if is_shared else "two objects now; it was one"
        return f"{head} and {item.old.path if is_shared else _other(item)}: {words}  {places}"
    more = f" (in {item.num_more} more place{'s' if item.num_more > 1 else ''})" if item.num_more else ""
    return f"{head}: {old} -> {new}{more}  {places}"


def _other(item: Difference) -> str:
    return item.old.path if item.old is not None else ""


def _places(old: Side | None, new: Side | None) -> str:
    found = [str(side.place) for side in (old, new) if side is not None]
    return f"[{' -> '.join(dict.fromkeys(found))}]"


def differences_to_json(differences: Sequence[Difference], old_name: str, new_name: str) -> str:
    """The documented machine form, version 1."""
    form = {
        "version": 1,
        "old": old_name,
        "new": new_name,
        "differences": [
            {
                "change": item.change.value,
                "path": item.path,
                "old": _form(item.old),
                "new": _form(item.new),
                "more_places": item.num_more,
            }
            for item in differences
        ],
    }
    return json.dumps(form, indent=2, ensure_ascii=False)


def _form(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    place = {"file": side.place.file, "line": side.place.line, "column": side.place.column}
    return {"path": side.path, "text": side.text, "place": place}

"""Summarises a node in a few words: a value as Python writes it, a call with its first arguments."""

from fgc.ir import DISPLAYS, Row, Snapshot

_MAX_WIDTH = 60
_MAX_DEPTH = 3
_HOW = {"singleton": "", "factory": "factory ", "partial": "partial ", "meta": "build-time "}

_SEQUENCES: tuple[type, ...] = (list, tuple)


def summary(row: Row, snapshot: Snapshot, *, is_short: bool = False) -> str:
    """Returns one line; `is_short` omits the contents."""
    if row.kind == "call" and is_short:
        return f"{_HOW.get(row.how, '')}{row.value}"
    text = _text(row, snapshot, 0)
    return text if len(text) <= _MAX_WIDTH else f"{text[: _MAX_WIDTH - 3]}..."


def _text(row: Row, snapshot: Snapshot, depth: int) -> str:
    if row.kind == "value":
        is_huge = isinstance(row.value, int) and row.value.bit_length() > 1_000  # Python prints no huge decimals
        return hex(int(row.value or 0)) if is_huge else repr(row.value)
    if row.kind == "text":
        return repr(row.value)
    if depth > _MAX_DEPTH:
        return "..."
    items = [(part.label, _text(snapshot.rows[part.node], snapshot, depth + 1)) for part in row.parts[:9]]
    items += [("", "...")] if len(row.parts) > 9 else []
    if row.kind == "list":
        return "[" + ", ".join(text for _, text in items) + "]"
    if row.kind == "mapping":
        return "{" + ", ".join(f"{_name(label)}: {text}" if label else text for label, text in items) + "}"
    if row.kind == "variable":
        return f"!var {row.value}" + (f" = {items[0][1]}" if items else "")
    if isinstance(row.value, str) and DISPLAYS.get(row.value) in _SEQUENCES and len(items) == 1:
        return items[0][1]
    given = (f"{_name(label)}={text}" if label.startswith(".") else text for label, text in items)
    return f"{_HOW.get(row.how, '')}{row.value}({', '.join(given)})"


def _name(label: str) -> str:
    return label.removeprefix(".") if label.startswith(".") else label[1:-1]

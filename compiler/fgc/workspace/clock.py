"""Finds what changes by itself in a configuration: texts that show the time, and values that depend on it.

Texts of variables of the environment count with them: they may be secrets, and are not kept.
"""

from collections.abc import Iterable

from fgc.pipeline import Compilation
from fgc.text import DeferredCall, DeferredPart, inner_parts

_MOVING = frozenset(
    ("isotime", "utcisotime", "filetime", "utcfiletime", "now", "utcnow", "strftime", "lipsum", "random")
)


def needs_clock(compilation: Compilation) -> bool:
    """Returns True if a template had to know the time, or drew a value: the graph itself may differ next time."""
    return any(_moves(need.expression, _MOVING) for need in compilation.needs)


def moving_texts(compilation: Compilation) -> list[str]:
    """Returns the texts of the document that will be others in the next second, or that are not to be kept."""
    names = _MOVING | {"getenv"}
    return [segment.piece.text for segment in compilation.document.deferred if _moves(segment.piece.deferred, names)]


def shows_any(texts: Iterable[str], shown: Iterable[str | None]) -> bool:
    """Returns True if one of the texts stands in what is shown."""
    found = list(texts)
    return bool(found) and any(text in item for item in shown if item is not None for text in found)


def _moves(expression: DeferredPart | None, names: frozenset[str]) -> bool:
    is_moving = isinstance(expression, DeferredCall) and expression.function in names
    return is_moving or (expression is not None and any(_moves(part, names) for part in inner_parts(expression)))

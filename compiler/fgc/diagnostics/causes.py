"""Merges findings of different stages about one mistake into the one that explains it best.

Within a stage, the consequences of a mistake are marked as broken and not reported. This module handles mistakes that
two stages see: one reports that a text is odd, the other what is wrong with it.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from fgc.diagnostics.model import Diagnostic, Severity
from fgc.text import Span

_YAML = "FGC301"
# statements without a space, unbalanced quotes, glued lines, invalid calls
_ODD_LINES = ("FGC101", "FGC110", "FGC211", "FGC220", "FGC314", "FGC322", "FGC402")
_END_NAME = "FGC104"
_UNKNOWN_BLOCK = "FGC204"
_BARE_KEY, _UNKNOWN_KEYWORD = "FGC321", "FGC501"
_ODD_TEXTS = ("FGC310", "FGC322")  # YAML reads the text as something else than it looks like
_OF_VALUES = ("FGC405", "FGC501", "FGC508")  # a value, or its key, is wrong


def without_consequences(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Returns findings without those that another one explains; the explanation becomes an error."""
    found = _without_odd_texts(found)
    possible = {
        _YAML: [diagnostic for diagnostic in found if diagnostic.code in _ODD_LINES],
        _END_NAME: [diagnostic for diagnostic in found if diagnostic.code == _UNKNOWN_BLOCK],
        _UNKNOWN_KEYWORD: [diagnostic for diagnostic in found if diagnostic.code == _BARE_KEY],
    }
    left: list[Diagnostic] = []
    guilty: set[int] = set()
    for diagnostic in found:
        cause = _cause(diagnostic, possible.get(diagnostic.code, ()))
        if cause is not None:
            guilty.add(id(cause))
        else:
            left.append(diagnostic)
    return [replace(item, severity=Severity.ERROR) if id(item) in guilty else item for item in left]


def _without_odd_texts(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Returns errors about values with the help of the warning that the value's text is odd, without that warning.

    The error stays because a user who silences the warning means the text as it is.
    """
    odd = {item.span: item for item in found if item.code in _ODD_TEXTS}
    told = {item.span for item in found if item.code in _OF_VALUES and item.span in odd} if odd else set()
    if not told:
        return list(found)
    helped = [
        replace(item, help=odd[item.span].help) if item.code in _OF_VALUES and item.span in told else item
        for item in found
    ]
    return [item for item in helped if item.code not in _ODD_TEXTS or item.span not in told]


def _cause(finding: Diagnostic, causes: Iterable[Diagnostic]) -> Diagnostic | None:
    """Returns the finding that explains another: an odd line, a block that ends with another name, a key of a value."""
    if finding.code == _UNKNOWN_KEYWORD:
        return next((cause for cause in causes if cause.span == finding.span), None)
    places = [finding.span, *(related.span for related in finding.related)]
    for cause in causes:
        spans = [cause.span, *(related.span for related in cause.related[:1])]
        if any(_on_one_line(place, span) for place in places for span in spans):
            return cause
    return None


def _on_one_line(first: Span, second: Span) -> bool:
    return first.source is second.source and first.first.line == second.first.line

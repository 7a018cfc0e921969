"""Findings of all stages to those that are mistakes of their own: one mistake, one finding.

A statement that is never closed, an include that glues lines, a comment that cuts a quote: what follows from them in
the YAML is theirs. What is not clearly a consequence stays.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from fgc.diagnostics.model import Diagnostic, Severity
from fgc.text import Span

_STRUCTURE = frozenset(("FGC103", "FGC104", "FGC105", "FGC107", "FGC109"))  # where statements end is not known
_LOST_TEXT = frozenset((*_STRUCTURE, "FGC001", "FGC003", "FGC101", "FGC102", "FGC201", "FGC202", "FGC208", "FGC213"))
_YAML = "FGC301"


def without_consequences(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Findings without those that another one explains."""
    errors = [diagnostic for diagnostic in found if diagnostic.severity is Severity.ERROR]
    has_lost_text = any(diagnostic.code in _LOST_TEXT for diagnostic in errors)
    structure = [diagnostic for diagnostic in errors if diagnostic.code in _STRUCTURE]
    causes = [diagnostic for diagnostic in found if diagnostic.code in ("FGC110", "FGC211", "FGC220", "FGC314")]
    left: list[Diagnostic] = []
    guilty: set[int] = set()
    for diagnostic in found:
        cause = _cause(diagnostic, causes) if diagnostic.code == _YAML else None
        if cause is not None:
            guilty.add(id(cause))
        elif not _follows(diagnostic, errors, structure, has_lost_text):
            left.append(diagnostic)
    return [replace(item, severity=Severity.ERROR) if id(item) in guilty else item for item in left]


def _cause(finding: Diagnostic, causes: Iterable[Diagnostic]) -> Diagnostic | None:
    """The cut quote or the glued line on whose line a YAML error shows."""
    places = [finding.span, *(related.span for related in finding.related)]
    for cause in causes:
        spans = [cause.span, *(related.span for related in cause.related[:1])]
        if any(_on_one_line(place, span) for place in places for span in spans):
            return cause
    return None


def _on_one_line(first: Span, second: Span) -> bool:
    return first.source is second.source and first.first.line == second.first.line


def _follows(
    finding: Diagnostic, errors: Sequence[Diagnostic], structure: Iterable[Diagnostic], has_lost_text: bool
) -> bool:
    """Whether a finding about the text follows from text that another mistake broke or lost."""
    if finding.code == _YAML:
        return any(
            item.span.source is finding.span.source and item.span.start <= finding.span.start for item in structure
        ) or any(item.code in _LOST_TEXT and _on_one_line(item.span, finding.span) for item in errors)
    if finding.code == "FGC306" and any(error.code == _YAML for error in errors):
        return True  # the root is what could be read of it
    if finding.code == "FGC306" and "is empty" in finding.message:
        return any(error is not finding for error in errors)
    return has_lost_text and (finding.code == "FGC309" or (finding.code == "FGC302" and finding.help is None))

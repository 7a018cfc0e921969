"""Diagnostics, and the outcome of a stage: a value that may be partial, and what was found on the way."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

from fgc.text import Origin, Span

T_co = TypeVar("T_co", covariant=True)
_STATEMENT = re.compile(r"(include|import|from)\s")  # all else that leads to text is the call of a macro


class Severity(Enum):
    """An error means that no program can be built; a warning, that it may not be the one that was meant."""

    ERROR = "error"
    WARNING = "warning"


class Related(Struct, frozen=True):
    """A second place that explains the first."""

    span: Span
    message: str


class Edit(Struct, frozen=True):
    """An exact replacement of what an author wrote; an empty span is an insertion."""

    span: Span
    text: str


class Diagnostic(Struct, frozen=True):
    """One finding: a code of the table in `codes`, what is wrong, where, and what to do.

    `fix` is what the help says to write, where that is one exact replacement.
    """

    code: str
    message: str
    span: Span
    severity: Severity = Severity.ERROR
    help: str | None = None
    related: tuple[Related, ...] = ()
    fix: Edit | None = None

    @staticmethod
    def at(
        origin: Origin,
        code: str,
        message: str,
        *,
        severity: Severity = Severity.ERROR,
        help: str | None = None,
        related: Iterable[Related] = (),
        fix: Edit | None = None,
    ) -> "Diagnostic":
        """A finding at an origin: how the text got into the document becomes its related places."""
        ways = ways_here(origin.via, origin.span)
        return Diagnostic(code, message, origin.span, severity, help, (*related, *ways), fix)


def ways_here(via: Iterable[Span], place: Span) -> tuple[Related, ...]:
    """Returns how text came to `place`, innermost first: each include, import and call of a macro."""
    ways = dict.fromkeys(span for span in via if span != place)
    return tuple(Related(span, _way(span)) for span in ways)


def _way(span: Span) -> str:
    match = _STATEMENT.match(span.text)
    return {"include": "included from here", None: "called from here"}.get(match and match[1], "imported from here")


class Outcome(Struct, Generic[T_co], frozen=True):
    """What a stage returns: never an exception for a user's mistake."""

    value: T_co
    diagnostics: tuple[Diagnostic, ...] = ()


def unique(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each finding once: a statement in a loop, or a file read twice, finds the same thing many times."""
    seen: dict[tuple[str, str, str, int, int], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        key = (diagnostic.code, diagnostic.message, span.source.display_name, span.start, span.end)
        earlier = seen.setdefault(key, diagnostic)
        if earlier.severity is Severity.WARNING and diagnostic.severity is Severity.ERROR:
            seen[key] = diagnostic
    return tuple(seen.values())


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Returns whether any finding forbids a build."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)

"""Diagnostics, and the outcome of a stage: a value, perhaps partial, and the findings of the stage."""

from collections.abc import Iterable
from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

from fgc.patterns import regex
from fgc.text import Origin, Span

T_co = TypeVar("T_co", covariant=True)
_STATEMENT = regex(r"(include|import|from)\s")  # everything else on the way is a call of a macro


class Severity(Enum):
    """An error prevents a build; a warning says that the program may not be the intended one."""

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

    `fix` is the replacement that the help suggests, if it is exact.
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
        """Returns a finding at an origin, with the includes and calls that led there as related places."""
        ways = ways_here(origin.via, origin.span)
        return Diagnostic(code, message, origin.span, severity, help, (*related, *ways), fix)


def ways_here(via: Iterable[Span], place: Span) -> tuple[Related, ...]:
    """Returns the includes, imports and calls of macros that led to `place`, innermost first."""
    ways = dict.fromkeys(span for span in via if span != place)
    return tuple(Related(span, _way(span)) for span in ways)


def _way(span: Span) -> str:
    match = _STATEMENT.match(span.text)
    return {"include": "included from here", None: "called from here"}.get(match and match[1], "imported from here")


class Outcome(Struct, Generic[T_co], frozen=True):
    """The result of a stage, which never raises an exception for a user's mistake."""

    value: T_co
    diagnostics: tuple[Diagnostic, ...] = ()


def unique(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Returns findings without duplicates, which a loop or a file that is read twice produces."""
    seen: dict[tuple[str, str, str, int, int], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        key = (diagnostic.code, diagnostic.message, span.source.display_name, span.start, span.end)
        earlier = seen.setdefault(key, diagnostic)
        if earlier.severity is Severity.WARNING and diagnostic.severity is Severity.ERROR:
            seen[key] = diagnostic
    return tuple(seen.values())


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Returns True if any finding is an error."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)

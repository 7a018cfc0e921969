"""Diagnostics, and the outcome of a stage: a value that may be partial, and what was found on the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from fgc.text import Origin, Span

T = TypeVar("T")


class Severity(Enum):
    """An error means that no program can be built; a warning, that it may not be the one that was meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that explains the first."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a code of the table in `codes`, what is wrong, where, and what to do."""

    code: str
    message: str
    span: Span
    severity: Severity = Severity.ERROR
    help: str | None = None
    related: tuple[Related, ...] = ()

    @staticmethod
    def at(
        origin: Origin,
        code: str,
        message: str,
        *,
        severity: Severity = Severity.ERROR,
        help: str | None = None,
        related: Iterable[Related] = (),
    ) -> "Diagnostic":
        """A finding at an origin: how the text got into the document becomes its related places."""
        chain = tuple(Related(span, "included from here") for span in origin.via)
        return Diagnostic(code, message, origin.span, severity, help, (*related, *chain))


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a stage returns: never an exception for a user's mistake."""

    value: T
    diagnostics: tuple[Diagnostic, ...] = ()


def unique(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each finding once: a statement in a loop, or a file read twice, finds the same thing many times."""
    seen: dict[tuple[str, str, str, int, int], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        key = (diagnostic.code, diagnostic.message, span.source.display_name, span.start, span.end)
        seen.setdefault(key, diagnostic)
    return tuple(seen.values())


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any finding forbids a build."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)

"""Records the values of expressions, in order, while a configuration is resolved.

The resolver does not know about this. It gets templates in which each expression of interest is wrapped in a call of
`RECORD`, a variable that contains the trace. A wrapped expression keeps its value and its place.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from jinja2.utils import Namespace
from msgspec import Struct, field

from fgc.syntax import ast
from fgc.text import Span

RECORD = "fgc explain"  # no template can write this name


class SiteKind(Enum):
    """The uses of a recorded value."""

    PRINT = "print"
    SET = "set"
    LOOP = "loop"
    PARAMETER = "parameter"
    EXTENDS = "extends"
    INCLUDE = "include"


class Site(Struct, frozen=True):
    """A recorded expression: its statement's place, and the names that it sets (`ns.x` for an attribute)."""

    kind: SiteKind
    expr: ast.Expr
    span: Span
    targets: tuple[str, ...] = ()


class Event(Struct, frozen=True):
    """One evaluation: the value, and the values of the plain names that the expression mentions."""

    number: int
    site: Site
    value: object
    names: dict[str, object]


class Trace(Struct):
    """All sites, and the events in order."""

    sites: list[Site] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def add(self, site: Site) -> int:
        """Adds a site and returns the number under which its events are recorded."""
        self.sites.append(site)
        return len(self.sites) - 1

    @property
    def record(self) -> Callable[..., Any]:
        """Returns the function that templates call, which returns the value unchanged."""

        def record(number: int, value: Any, names: dict[str, object]) -> Any:
            seen = {name: _snapshot(item) for name, item in names.items()}
            self.events.append(Event(len(self.events), self.sites[number], value, seen))
            return value

        return record


def _snapshot(value: object) -> object:
    """Returns a copy of a namespace, because later assignments change it; other values are returned unchanged."""
    return dict(object.__getattribute__(value, "_Namespace__attrs")) if isinstance(value, Namespace) else value

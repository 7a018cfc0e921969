"""What ran while a configuration was resolved: which expression gave which value, in order.

The resolver knows nothing of this. Templates are given to it with each expression of interest wrapped in a call of
`RECORD`, a variable that holds the trace; a wrapped expression keeps its value and its place.
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
    """What is done with a recorded value."""

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
        """The number by which the site's events are recorded."""
        self.sites.append(site)
        return len(self.sites) - 1

    @property
    def record(self) -> Callable[..., Any]:
        """The function that templates call: it returns the value as it is."""

        def record(number: int, value: Any, names: dict[str, object]) -> Any:
            seen = {name: _snapshot(item) for name, item in names.items()}
            self.events.append(Event(len(self.events), self.sites[number], value, seen))
            return value

        return record


def _snapshot(value: object) -> object:
    """A namespace as it is now: later sets change it."""
    return dict(object.__getattribute__(value, "_Namespace__attrs")) if isinstance(value, Namespace) else value

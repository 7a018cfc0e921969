"""Describes a callable: its parameters, where it is defined, and what it would refuse.

Plain data; knows nothing of how it was found out.
"""

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct


class ParameterKind(Enum):
    """How a parameter takes arguments, as Python names it."""

    POSITIONAL_ONLY = "positional-only"
    ANY = "positional or keyword"
    VAR_POSITIONAL = "*args"
    KEYWORD_ONLY = "keyword-only"
    VAR_KEYWORD = "**kwargs"


_POSITIONAL = (ParameterKind.POSITIONAL_ONLY, ParameterKind.ANY)
_NAMED = (ParameterKind.ANY, ParameterKind.KEYWORD_ONLY)
_COLLECTING = (ParameterKind.VAR_POSITIONAL, ParameterKind.VAR_KEYWORD)


class Parameter(Struct, frozen=True):
    """A parameter; `default` and `annotation` are Python expressions, None where there is none.

    `home` is the file in which the annotation is written: its names mean what they mean there. `converts`: a text that
    holds a number, or a word for a truth value, becomes one.
    """

    name: str
    kind: ParameterKind
    default: str | None = None
    annotation: str | None = None
    home: str = ""
    converts: bool = False


class Signature(Struct, frozen=True):
    """The parameters of a callable, without the object that it is bound to.

    `behind_args` and `behind_kwargs` are the parameters that `*args` and `**kwargs` reach, because they are handed on
    whole; None: they take anything. `is_open`: a wrapper may take more than the parameters say. `drops_unknown`: what
    is not known is accepted and thrown away, as pydantic does. `deals_positionals`: a wrapper gives arguments by
    position to parameters that take none.
    """

    parameters: tuple[Parameter, ...]
    behind_args: tuple[Parameter, ...] | None = None
    behind_kwargs: tuple[Parameter, ...] | None = None
    is_open: bool = False
    drops_unknown: bool = False
    deals_positionals: bool = False

    @property
    def positional(self) -> tuple[Parameter, ...]:
        """Returns the parameters that take arguments by position, in order."""
        return tuple(parameter for parameter in self.by_position if parameter.kind in _POSITIONAL)

    @property
    def keyword_names(self) -> tuple[str, ...]:
        """Every keyword that has a name here, those included that are handed on."""
        return tuple(dict.fromkeys(parameter.name for parameter in self.by_name if parameter.kind in _NAMED))

    @property
    def required(self) -> tuple[Parameter, ...]:
        """Returns the parameters that must be given."""
        every = {parameter.name: parameter for parameter in reversed((*self.by_name, *self.by_position))}
        found = (p for p in every.values() if p.default is None and p.kind not in _COLLECTING)
        return tuple(reversed([*found]))

    @property
    def takes_any_keyword(self) -> bool:
        return self.is_open or any(parameter.kind is ParameterKind.VAR_KEYWORD for parameter in self.by_name)

    @property
    def takes_any_positional(self) -> bool:
        is_open = self.is_open or self.deals_positionals
        return is_open or any(parameter.kind is ParameterKind.VAR_POSITIONAL for parameter in self.by_position)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter that takes the keyword `name`."""
        return next((p for p in self.by_name if p.name == name and p.kind in _NAMED), None)

    @property
    def by_position(self) -> Iterator[Parameter]:
        """All parameters, with those behind `*args` in its place."""
        return _with_those_behind(self.parameters, ParameterKind.VAR_POSITIONAL, self.behind_args)

    @property
    def by_name(self) -> Iterator[Parameter]:
        """All parameters, with those behind `**kwargs` in its place."""
        return _with_those_behind(self.parameters, ParameterKind.VAR_KEYWORD, self.behind_kwargs)


def _with_those_behind(
    own: tuple[Parameter, ...], kind: ParameterKind, behind: tuple[Parameter, ...] | None
) -> Iterator[Parameter]:
    for parameter in own:
        if parameter.kind is kind and behind is not None:
            yield from behind
        else:
            yield parameter


class TypeName(Struct, frozen=True):
    """A class by its name, and by the full names of itself and of all that it inherits from.

    `conversions` are those of `__float__`, `__int__`, `__index__` and `__fspath__` that it has. `is_open`: a base
    cannot be read. `path` is the file that defines it, if one does.
    """

    name: str
    bases: tuple[str, ...]
    conversions: tuple[str, ...] = ()
    is_open: bool = False
    path: str | None = None

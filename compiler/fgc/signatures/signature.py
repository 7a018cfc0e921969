"""What is known of a callable: its parameters, where it is defined, and what it would refuse.

Plain data that goes to JSON and back; knows nothing of how it was found out.
"""

from enum import Enum

from msgspec import Struct, convert, to_builtins


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


class Place(Struct, frozen=True):
    """Where something is defined: a file, a line and a column, both from 1."""

    path: str
    line: int
    column: int
    length: int


class Parameter(Struct, frozen=True):
    """A parameter; `default` and `annotation` are Python expressions, None where there is none."""

    name: str
    kind: ParameterKind
    default: str | None = None
    annotation: str | None = None


class Signature(Struct, frozen=True):
    """The parameters of a callable, without the object that it is bound to.

    `forwarded` holds the keywords that `**kwargs` takes because it is handed on whole; None: it takes any.
    `is_open`: a wrapper may take more than the parameters say.
    """

    parameters: tuple[Parameter, ...]
    forwarded: tuple[str, ...] | None = None
    is_open: bool = False

    @property
    def positional(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if parameter.kind in _POSITIONAL)

    @property
    def keyword_names(self) -> tuple[str, ...]:
        """Every keyword that has a name here, those included that are handed on."""
        own = [parameter.name for parameter in self.parameters if parameter.kind in _NAMED]
        return tuple(dict.fromkeys((*own, *(self.forwarded or ()))))

    @property
    def required(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.default is None and p.kind not in _COLLECTING)

    @property
    def takes_any_keyword(self) -> bool:
        return self.is_open or (self._has(ParameterKind.VAR_KEYWORD) and self.forwarded is None)

    @property
    def takes_any_positional(self) -> bool:
        return self.is_open or self._has(ParameterKind.VAR_POSITIONAL)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter that takes the keyword `name`."""
        return next((p for p in self.parameters if p.name == name and p.kind in _NAMED), None)

    def _has(self, kind: ParameterKind) -> bool:
        return any(parameter.kind is kind for parameter in self.parameters)


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


class Verdict(Enum):
    """What reading the files said about a name."""

    CALLABLE = "callable"
    UNKNOWN = "unknown"  # it may be anything: no complaint
    NOT_INSTALLED = "not installed"
    NO_MODULE = "no module"
    NO_ATTRIBUTE = "no attribute"
    NOT_CALLABLE = "not callable"


class Answer(Struct, frozen=True):
    """What is known of a name. A callable whose parameters are unknown has no signatures; overloads have several.

    `wrong` is the part of the name that does not exist, `names` are those that could have been meant. `result` is what
    a call gives: one of these types, or not known. `deprecated` is what a deprecated callable says of that.
    """

    verdict: Verdict
    signatures: tuple[Signature, ...] = ()
    place: Place | None = None
    wrong: str = ""
    names: tuple[str, ...] = ()
    result: tuple[TypeName, ...] = ()
    deprecated: str | None = None


def to_json(answer: Answer) -> object:
    """An answer as JSON has it."""
    return to_builtins(answer)


def from_json(data: object) -> Answer:
    """The answer that `to_json` wrote. Raises ValueError if it is none."""
    return convert(data, Answer)

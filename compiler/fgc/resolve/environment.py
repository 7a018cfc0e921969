"""The names that every template can use: Jinja2's filters, tests and sandbox, and the language's own globals."""

import os.path
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import PurePath
from typing import Any, NamedTuple

import yaml
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import StrictUndefined, Undefined
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import generate_lorem_ipsum, missing
from msgspec import Struct

from fgc.diagnostics import Diagnostic
from fgc.resolve.errors import Refusal
from fgc.resolve.facts import Facts
from fgc.resolve.mapped import NOWHERE, MappedText, deferred_text, deferring
from fgc.resolve.variables import reader
from fgc.text import OF_PATHS, DeferredCall, DeferredName, Piece, Span

_TIMES = {
    "isotime": ("now", "%Y-%m-%dT%H:%M:%S"),
    "utcisotime": ("utcnow", "%Y-%m-%dT%H:%M:%S"),
    "filetime": ("now", "%Y-%m-%dT%H-%M-%S"),
    "utcfiletime": ("utcnow", "%Y-%m-%dT%H-%M-%S"),
}
_PATH_FUNCTIONS: dict[str, Callable[..., Any]] = {**OF_PATHS, "splitext": os.path.splitext}
_NEEDS_CWD: dict[str, Callable[..., bool]] = {  # whether the result depends on the folder where it is computed
    "abspath": lambda path: not os.path.isabs(path),  # noqa: PTH117
    "relpath": lambda path, start=".": os.path.isabs(path) is not os.path.isabs(start),  # noqa: PTH117
}
_MAX_WORDS = 10_000  # of filler text
_FLOW_SIGNS = frozenset(",[]{}")
_FIRST_SIGNS = ("'", '"', "[", "{", "!")  # of a YAML text that is not plain
_DEFERRED_NAMES = ("project_dir", "workspace_root", "hostname")


class Placement(Struct, frozen=True):
    """The facts known about an undefined value.

    `finding` reports it, if it is not a plain name. `owner` is the object that lacks it as an attribute, or Jinja2's
    `missing` for a plain name.
    """

    name: str
    owner: Any
    hint: str | None
    place: Span | None
    visible_names: tuple[str, ...]
    finding: Diagnostic | None
    is_lost: bool


class PlacedUndefined(StrictUndefined):
    """An undefined value that remembers the expression it came from. Templates cannot see that."""

    __slots__ = ("_finding", "_is_lost", "_place", "_visible_names")

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] | None = None,
        **placed: Any,
    ) -> None:
        super().__init__(hint, obj, name, exc) if exc else super().__init__(hint, obj, name)
        self._place: Span | None = placed.get("place")
        self._finding: Diagnostic | Callable[[], Diagnostic] | None = placed.get("finding")
        self._visible_names: tuple[str, ...] = tuple(placed.get("visible_names", ()))
        self._is_lost: bool = placed.get("is_lost", False)


def placement_of(value: PlacedUndefined) -> Placement:
    """Returns the facts known about an undefined value."""
    name, owner, hint = str(value._undefined_name), value._undefined_obj, value._undefined_hint
    finding = value._finding() if callable(value._finding) else value._finding
    return Placement(name, owner, hint, value._place, value._visible_names, finding, value._is_lost)


_METHODS = {  # the methods of Python's own types that a configuration may use
    str: frozenset(
        (
            *("capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "format", "format_map"),
            *("index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric"),
            *("isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "partition"),
            *("removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip"),
            *("split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill"),
        )
    ),
    int: frozenset(("bit_length", "bit_count", "is_integer", "real", "imag", "numerator", "denominator")),
    float: frozenset(("is_integer", "real", "imag", "as_integer_ratio")),
    bytes: frozenset(),
    bytearray: frozenset(),
}


class Sandbox(SandboxedEnvironment):
    """Jinja2's sandbox, in which texts and numbers have only the methods that a configuration may need."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Returns True if a template may reach an attribute of a value."""
        if not super().is_safe_attribute(obj, attr, value):
            return False
        known = next((names for kind, names in _METHODS.items() if isinstance(obj, kind)), None)
        return known is None or attr in known


@lru_cache(maxsize=1)
def jinja_environment() -> SandboxedEnvironment:
    """Returns the sandbox whose filters and tests templates use. Nothing is compiled with it."""
    environment = Sandbox(undefined=PlacedUndefined, autoescape=False)
    environment.filters["toyaml"] = to_yaml
    return environment


def to_yaml(value: Any, default: Any = missing) -> str:
    """A value as YAML flow text: what to print where a value and not a text is meant."""
    if isinstance(value, Undefined):
        if default is missing:
            value._fail_with_undefined_error()
        value = default
    if value is None:
        return "null"
    if isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, str):
        value = str(value)
    return _dumped(_plain(value)).removesuffix("...").removesuffix("\n")


def as_flow_item(text: str) -> str:
    """Returns a text from `to_yaml`, quoted if a list or mapping in brackets would otherwise split it."""
    is_plain = not text.startswith(_FIRST_SIGNS)
    return _dumped([text])[1:-1] if is_plain and not _FLOW_SIGNS.isdisjoint(text) else text


def _dumped(value: Any) -> str:
    text: str = yaml.dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n")


def _plain(value: Any) -> Any:
    """Containers and strings as YAML's own types, so that no Python type leaks into the text."""
    if isinstance(value, str):
        return str.__str__(value) if type(value) is str else "".join(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Moment):
        return datetime(*value.timetuple()[:6])
    return value


def make_globals(facts: Facts) -> dict[str, Any]:
    """Returns the names that every template sees. Clock, host, folders and versions are deferred."""
    names: dict[str, Any] = dict(jinja_environment().globals)
    for name, (clock, layout) in _TIMES.items():
        names[name] = _time(name, getattr(facts, clock).strftime(layout), facts)
    for name, function in _PATH_FUNCTIONS.items():
        names[name] = deferring(_checked(function, name), name, _NEEDS_CWD.get(name))
    names |= {
        "now": _moment(facts, "now"),
        "utcnow": _moment(facts, "utcnow"),
        "repr": deferring(repr, "repr"),
        "lipsum": lipsum,
        "modname_from_path": deferring(_checked(_module_name, "modname_from_path"), "modname_from_path"),
        "hostname": _deferred("hostname", facts.hostname),
        "uname": _uname(facts),
        "versions": Versions(facts),
        "getenv": reader(facts),
        "raise": refuse,
        "assert": demand,
    }
    for name, folder in facts.folders.items():
        names[name] = _deferred(name, folder)
    for name, folder_function in facts.folder_functions.items():
        names[name] = _folder(name, folder_function)
    return names


class Versions(Mapping[str, str]):
    """Versions of packages, each looked up when a template asks for it, and deferred."""

    def __init__(self, facts: Facts) -> None:
        self._versions = facts.versions
        self._used = facts.used

    def __getitem__(self, name: str) -> str:
        self._used.add("versions")
        return deferred_text(self._versions[name], DeferredCall("version", (name,)), NOWHERE)

    def __iter__(self) -> Iterator[str]:
        self._used.add("versions")
        return iter(self._versions)

    def __len__(self) -> int:
        self._used.add("versions")
        return len(self._versions)

    def __repr__(self) -> str:
        self._used.add("versions")
        return repr(dict(self._versions))


def lipsum(n: int = 5, html: bool = True, min: int = 20, max: int = 100) -> str:
    if n * max > _MAX_WORDS:
        raise ValueError(f"at most {_MAX_WORDS:,} words are made")
    return str(generate_lorem_ipsum(n, html, min, max))


def refuse(message: str) -> str:
    """`raise(message)`."""
    raise Refusal(str(message))


def demand(condition: Any, message: str = "an assertion of the template does not hold") -> str:
    """`assert(condition, message)`: prints nothing if the condition holds."""
    if isinstance(condition, Undefined):
        condition._fail_with_undefined_error()
    return "" if condition else refuse(message)


def _deferred(name: str, text: str) -> Any:
    return deferred_text(text, DeferredName(name), NOWHERE) if name in _DEFERRED_NAMES else text


class Moment(datetime):
    """The time at which the program starts. Its texts are deferred; reading one of its parts needs the time now."""

    function: str
    OPEN_METHODS = ("strftime", "isoformat")

    def strftime(self, format: str) -> str:
        """Returns the deferred text of the time in a `strftime` layout."""
        expression = DeferredCall("strftime", (self.function, str(format)))
        return deferred_text(super().strftime(str(format)), expression, NOWHERE)

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """Returns the deferred text of the time, to the second."""
        return self.strftime(f"%Y-%m-%d{sep}%H:%M:%S")


def _moment(facts: Facts, name: str) -> Callable[[], datetime]:
    known: datetime = getattr(facts, name)
    moment = Moment(*known.timetuple()[:6])
    moment.function = name

    def call() -> datetime:
        facts.used.add("clock")
        return moment

    return call


class _Uname(NamedTuple):
    """The result of `os.uname`, with each part deferred."""

    sysname: str
    nodename: str
    release: str
    version: str
    machine: str


def _uname(facts: Facts) -> _Uname:
    names = ("system", "hostname", "release", "version", "machine")
    expressions = (DeferredName(name) if name == "hostname" else DeferredCall("uname", (name,)) for name in names)
    parts = zip(facts.uname, expressions, strict=True)
    return _Uname(*(deferred_text(text, expression, NOWHERE) if text else text for text, expression in parts))


def _module_name(path: str) -> str:
    return PurePath(path).stem


def _time(name: str, text: str, facts: Facts) -> Callable[[], str]:
    def call() -> str:
        facts.used.add("clock")
        return deferred_text(text, DeferredCall(name, ()), NOWHERE)

    return call


def _folder(name: str, function: Callable[..., str]) -> "_FolderText":
    def call(*args: str) -> str:
        return deferred_text(function(*args), DeferredCall(name, tuple(map(str, args))), NOWHERE)

    folder = _FolderText([Piece(function(), NOWHERE, False, DeferredCall(name, ()))])
    folder.function = call
    return folder


class _FolderText(MappedText):
    """A folder of the user or the system: a text, and a function of an application's name."""

    __slots__ = ("function",)
    function: Callable[..., str]

    def __call__(self, *args: str) -> str:
        return self.function(*args)


def _checked(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wraps a path function to raise an error that names an argument which is undefined or not a text."""

    def call(*args: Any, **kwargs: Any) -> Any:
        for number, arg in enumerate(args, start=1):
            if isinstance(arg, Undefined):
                arg._fail_with_undefined_error()
            if not isinstance(arg, str):
                raise TypeError(f"argument {number} of {name} must be a text, not {type(arg).__name__} ({arg!r})")
        return function(*args, **kwargs)

    return call

"""Makes findings from failed expressions: undefined names, wrong arguments, and operands that do not fit."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Environment
from jinja2.runtime import StrictUndefined, Undefined
from jinja2.utils import Namespace, missing
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Severity, did_you_mean, ways_here
from fgc.resolve.environment import PlacedUndefined, placement_of
from fgc.resolve.errors import BrokenValue
from fgc.resolve.macros import Macro, SelfReference, TemplateModule, block_names, listed
from fgc.syntax import ast
from fgc.text import Span

_KINDS = {"MappedText": "text", "str": "text", "bool": "boolean", "int": "integer", "float": "number"}
_OWNERS = {SelfReference: ("this template", "block"), TemplateModule: ("the imported template", "name")}
_OTHER_LANGUAGES = {"null": "none", "int": "integer", "str": "string", "list": "sequence", "dict": "mapping"}
_NAMES_IN_ARGUMENTS = {  # position of a filter's argument that names a test or filter
    "select": (0, "test"),
    "reject": (0, "test"),
    "selectattr": (1, "test"),
    "rejectattr": (1, "test"),
    "map": (0, "filter"),
}
_CONSTANTS = {"true": "true", "false": "false", "none": "none", "null": "none", "nil": "none"}  # of other languages too
_MAX_SEARCHED_ITEMS = 10_000


def undefined_finding(value: Undefined, span: Span) -> Diagnostic:
    """Returns the finding of an undefined value that is used at `span`. Raises BrokenValue if a mistake has lost it."""
    if not isinstance(value, PlacedUndefined):
        return Diagnostic("FGC203", "this value is undefined", span)
    known = placement_of(value)
    if known.is_lost:
        raise BrokenValue
    place = known.place or span
    if known.finding is not None:
        return replace(known.finding, span=place)
    if known.hint is not None and "is unsafe" in known.hint:
        return forbidden(known.hint, place)
    if known.hint is not None:
        return Diagnostic("FGC203", known.hint, place)
    help = did_you_mean(known.name, known.visible_names)
    if known.owner is missing and known.name.casefold() in _CONSTANTS:
        help = f"did you mean `{_CONSTANTS[known.name.casefold()]}`?"
    if known.owner is missing:
        help = help or "give it a value with `set`, or a default: `{{ name | default(...) }}`"
        return Diagnostic("FGC203", f"`{known.name}` is undefined", place, help=help)
    owner, what = _OWNERS.get(type(known.owner), (described(known.owner), "attribute"))
    if help is None and known.visible_names and isinstance(known.owner, (Mapping, Namespace, *_OWNERS)):
        help = f"it has {listed(known.visible_names)}"
    return Diagnostic("FGC203", f"{owner} has no {what} `{known.name}`", place, help=help)


def forbidden(reason: str, span: Span) -> Diagnostic:
    """The finding that the sandbox refuses something."""
    message = f"the sandbox forbids this: {reason.rstrip('.')}"
    return Diagnostic("FGC207", message, span, help="templates reach no Python internals")


def first_undefined(value: Any) -> Any:
    """Returns the value itself, or the first undefined value in it, for a container that is to be printed."""
    if isinstance(value, str):
        return value
    stack = [value]
    for _ in range(_MAX_SEARCHED_ITEMS):
        if not stack:
            return value
        item = stack.pop()
        if isinstance(item, StrictUndefined):
            return item
        if isinstance(item, dict):
            stack += reversed(item.values())
        elif isinstance(item, (list, tuple)):
            stack += reversed(item)
    return value


def attribute_names(value: Any) -> list[str]:
    """The names that a template may reach in a value."""
    if isinstance(value, SelfReference):
        return block_names(value)
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    attributes = getattr(value, "_Namespace__attrs", None)
    if attributes is not None:
        return list(attributes)
    return [name for name in dir(value) if not name.startswith("_")]


def described(value: Any) -> str:
    """A value's kind, in words: `a text`, `an integer`, `none`."""
    if value is None:
        return "none"
    name = "macro" if isinstance(value, Macro) else type(value).__name__
    name = _KINDS.get(name, name.lower())
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def wrong_operands(expr: ast.Binary, left: Any, right: Any) -> Diagnostic:
    """The finding that an operator does not take its operands."""
    help = "`~` joins texts, whatever its operands are" if expr.operator == "+" else None
    message = f"`{expr.operator}` does not take {described(left)} and {described(right)}"
    return Diagnostic("FGC206", message, expr.span, help=help)


def wrong_arguments(
    what: str, function: Callable[..., Any], skipped: int, arguments: ast.Arguments, given: tuple[int, Iterable[str]]
) -> Diagnostic | None:
    """The finding that a call does not fit its function, if it does not.

    `skipped`: how many parameters the language fills; `given`: the count of positional arguments and the keywords.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[skipped:]
    except (TypeError, ValueError):
        return None  # a builtin without a signature
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    count, keywords = given
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for keyword in () if takes_any else keywords:
        if keyword not in named:
            span = next((k.span for k in arguments.keywords if k.name == keyword), arguments.span)
            help = did_you_mean(keyword, named) or (f"it has {listed(named)}" if named else None)
            return Diagnostic("FGC206", f"{what} has no parameter `{keyword}`", span, help=help)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if count > len(positional) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        place = arguments.positional[len(positional)].span if len(arguments.positional) == count else arguments.span
        return Diagnostic("FGC206", f"{what} takes at most {len(positional)} arguments, and {count} are given", place)
    absent = [p.name for p in positional[count:] if p.default is p.empty and p.name not in keywords]
    if absent:
        return Diagnostic("FGC206", f"{what} lacks its argument `{absent[0]}`", arguments.span)
    return None


def unknown_filter(
    what: str, filter: ast.Filter, table: Iterable[str], severity: Severity = Severity.ERROR
) -> Diagnostic:
    """The finding that there is no filter or test of a name."""
    match = _OTHER_LANGUAGES.get(filter.name) if what == "test" else None
    help = f"did you mean `{match}`?" if match else did_you_mean(filter.name, table)
    return Diagnostic("FGC111", f"unknown {what} `{filter.name}`", filter.name_span, severity, help)


def unknown_in_arguments(filter: ast.Filter, args: list[Any], environment: Environment) -> Diagnostic | None:
    """The finding that `select`, `map` and the like name a test or filter that there is not."""
    place, what = _NAMES_IN_ARGUMENTS.get(filter.name, (0, ""))
    table: Mapping[str, Any] = environment.tests if what == "test" else environment.filters
    if not what or len(args) <= place or not isinstance(args[place], str) or args[place] in table:
        return None
    positional = filter.arguments.positional
    span = positional[place].span if place < len(positional) else filter.arguments.span
    return Diagnostic("FGC111", f"unknown {what} `{args[place]}`", span, help=did_you_mean(args[place], table))


def with_chain(diagnostic: Diagnostic, via: tuple[Span, ...]) -> Diagnostic:
    """A finding with the way that led to it: includes, and calls of macros."""
    chain = ways_here(via, diagnostic.span)
    return replace(diagnostic, related=(*diagnostic.related, *chain)) if chain else diagnostic


def what_fails(error: Exception) -> str:
    """Returns an exception of foreign code in words."""
    text = str(error)
    if isinstance(error, KeyError):
        text = f"no key {text}"
    return f"this fails: {text or type(error).__name__}"

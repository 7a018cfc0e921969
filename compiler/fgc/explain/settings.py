"""Replaces values of a composed configuration before it becomes a graph, for `--set PATH=VALUE`.

PATH is that of `find`. The current value decides how VALUE is read, and later stages check it like a written value.
"""

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from msgspec import Struct

from fgc.explain.pairs import target_of
from fgc.explain.paths import Found, UnknownPath, find
from fgc.text import DeferredCall, Span, environment_name, secret_at
from fgc.yaml import Composition, ScalarNode, scalar_type, standard_type

_TRUTH = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_NULL = ("null", "none", "~")
_KINDS = {"int": "an integer", "float": "a number", "bool": "true or false"}


class Doubt(Struct, frozen=True):
    """A float in place of an integer, which is a problem if its receiver takes only integers."""

    span: Span
    problem: str


def set_values(composition: Composition, settings: Mapping[str, str]) -> tuple[list[str], list[Doubt]]:
    """Replaces scalars by path; returns errors in paths and values, and doubts to check later."""
    doubts: list[Doubt] = []
    found = [_set(composition, path, text, doubts) for path, text in settings.items()]
    return [problem for problem in found if problem is not None], doubts


def _set(composition: Composition, path: str, text: str, doubts: list[Doubt]) -> str | None:
    found = find(composition, path)
    if isinstance(found, UnknownPath):
        return f"`--set {path}={text}`: {_unknown(found)}"
    node = _scalar(found)
    if found.rest:
        return f"`--set {path}={text}`: `{found.steps[-1].path}` is taken from another project; set it there"
    if node is None:
        return f"`--set {path}={text}`: `{path}` is not one value; name one that is in it"
    if node.tag is not None and node.tag.text.startswith("!var"):
        return f"`--set {path}={text}`: `{path}` is a variable of the program, which gets its value in Python"
    tagged = _tagged_kind(node)
    kind = tagged or ("str" if not node.is_plain else scalar_type(node.value, True))
    written = _written(text, kind)
    problem = f"`--set {path}={text}`: `{path}` is {_KINDS.get(kind, kind)}, such as {node.value}; `{text}` is not"
    if written is None:
        return problem
    if kind == "int" and scalar_type(*written) == "float":
        doubts.append(Doubt(node.origin.span, problem))
    node.value, node.is_plain = written
    node.tag = node.tag if tagged is None else None
    node.parts = node.argument = None
    secret = secret_at(path)
    if secret is not None and text and not node.is_plain:
        node.parts = (DeferredCall("getenv", (environment_name(secret),)),)  # a build writes no secret
    return None


def _unknown(found: UnknownPath) -> str:
    if found.known and found.nearest is not None:
        return f"`{found.known}` has no `{found.missing}`; did you mean `{found.known}.{found.nearest}`?"
    return str(found)


def _scalar(found: Found) -> ScalarNode | None:
    """Returns the node with the value; the argument of a tag is in the tag's own node."""
    parent = target_of(found.steps[-2].chosen.value) if len(found.steps) > 1 else None
    node = parent if isinstance(parent, ScalarNode) else target_of(found.node)
    if not isinstance(node, ScalarNode):
        return None
    is_call = node.tag is not None and node is not parent and _tagged_kind(node) is None
    return node if not is_call or _is_var(node) else None


def _tagged_kind(node: ScalarNode) -> str | None:
    """Returns the kind of a value that its tag gives: a number in `!!float 3`, a text in `! 3`."""
    if node.tag is None:
        return None
    kind = "str" if node.tag.text == "!" else standard_type(node.tag.text)
    return kind if kind in ("str", "int", "float", "bool", "null") else None


def _is_var(node: ScalarNode) -> bool:
    return node.tag is not None and node.tag.text.startswith("!var")


def _written(text: str, kind: str) -> tuple[str, bool] | None:
    """Returns a value's text in YAML, and if it needs no quotes; None if it is not of this kind."""
    match kind:
        case "int" | "float" | "bool" if text.lower() in _NULL:
            return "null", True
        case "int":
            return _number(text, int) or _for_integer(text)
        case "float":
            return _number(text, float)
        case "bool":
            word = _TRUTH.get(text.lower())
            return None if word is None else (word, True)
        case "null":
            return _guessed(text)
        case _:
            return text, False


def _number(text: str, convert: type[int] | type[float]) -> tuple[str, bool] | None:
    try:
        value = convert(text)
    except ValueError:
        return None
    if isinstance(value, int):
        return str(value), True
    if value != value or abs(value) == float("inf"):
        return (".nan" if value != value else ".inf" if value > 0 else "-.inf"), True
    shown = repr(value)
    return (shown.replace("e", ".0e") if "e" in shown and "." not in shown else shown), True


def _for_integer(text: str) -> tuple[str, bool] | None:
    """Returns a number that replaces an integer: `1e3` is an integer, and 0.1 for `weight_decay: 0` is accepted."""
    try:
        value, exact = float(text), Decimal(text)
    except (ValueError, InvalidOperation):
        return None
    if not math.isfinite(value):
        return None
    if exact == exact.to_integral_value():
        return _number(str(int(exact)), int)
    return None if value.is_integer() else _number(text, float)  # `1e-400` underflows to 0.0


def _guessed(text: str) -> tuple[str, bool]:
    """Reads a value that replaces null: a number, a truth value or null if it looks like one, else a text."""
    if text.lower() in _NULL:
        return "null", True
    word = _TRUTH.get(text.lower())
    return _number(text, int) or _number(text, float) or ((text, False) if word is None else (word, True))

"""`--set PATH=VALUE`: values of a composed configuration replaced before it becomes a graph.

PATH is that of `find`. What stands there says how VALUE is read, so all later stages check it like a written value.
"""

from collections.abc import Mapping

from fgc.explain.pairs import target_of
from fgc.explain.paths import Found, UnknownPath, find
from fgc.text import DeferredCall, environment_name, secret_at
from fgc.yaml import Composition, ScalarNode, UnsupportedScalar, scalar_type, scalar_value

_TRUTH = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_KINDS = {"int": "an integer", "float": "a number", "bool": "true or false"}


def set_values(composition: Composition, settings: Mapping[str, str]) -> list[str]:
    """Replaces scalars by path, and returns what is wrong with paths and values."""
    found = [_set(composition, path, text) for path, text in settings.items()]
    return [problem for problem in found if problem is not None]


def _set(composition: Composition, path: str, text: str) -> str | None:
    found = find(composition, path)
    if isinstance(found, UnknownPath):
        return f"`--set {path}={text}`: {_unknown(found)}"
    node = _scalar(found)
    if found.rest:
        return f"`--set {path}={text}`: `{found.steps[-1].path}` is taken from another project; set it there"
    if node is None:
        return f"`--set {path}={text}`: `{path}` is not one value; name one that is in it"
    if node.tag is not None and node.tag.text.startswith("!var"):
        return f"`--set {path}={text}`: `{path}` is a variable of the program, which Python gives its value"
    kind = "str" if not node.is_plain else scalar_type(node.value, True)
    written = _written(text, kind)
    if written is None:
        return f"`--set {path}={text}`: `{path}` is {_KINDS[kind]}, such as {node.value}; `{text}` is not"
    node.value, node.is_plain = written
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
    """The node that holds the value: the argument of a tag is written in the tag's own node."""
    parent = target_of(found.steps[-2].chosen.value) if len(found.steps) > 1 else None
    node = parent if isinstance(parent, ScalarNode) else target_of(found.node)
    is_call = isinstance(node, ScalarNode) and node.tag is not None and node is not parent and node.tag.text != "!"
    return node if isinstance(node, ScalarNode) and (not is_call or _is_var(node)) else None


def _is_var(node: ScalarNode) -> bool:
    return node.tag is not None and node.tag.text.startswith("!var")


def _written(text: str, kind: str) -> tuple[str, bool] | None:
    """A value as YAML reads it back, and whether it stands without quotes; None if it is none of this kind."""
    match kind:
        case "int":
            return _number(text, int)
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


def _guessed(text: str) -> tuple[str, bool]:
    """Reads a value that replaces null: a number, a truth value or null if it looks like one, else a text."""
    number = _number(text, int) or _number(text, float)
    if number is not None:
        return number
    try:
        scalar_value(text, scalar_type(text, True))
    except (UnsupportedScalar, ValueError):
        return text, False
    return text, scalar_type(text, True) in ("bool", "null")

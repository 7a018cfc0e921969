"""Shows YAML nodes as a line of text and as data."""

import json
from typing import TypeAlias

from fgc.explain.pairs import indexed, named, tag_kind, target_of
from fgc.yaml import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    UnsupportedScalar,
    scalar_type,
    scalar_value,
    standard_type,
)

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

_MAX_WIDTH = 100  # characters of a value
_MAX_DEPTH = 3


def value_text(node: Node) -> str:
    """Returns a value in one line: a scalar, a construction, or the contents of a collection."""
    target = target_of(node)
    if target is None:
        return "nothing: its anchor does not exist"
    if tag_kind(target):
        assert target.tag is not None, "a kind comes from a tag"
        return _constructed(target, target.tag.text)
    match target:
        case ScalarNode():
            late = " (computed when the program runs)" if target.parts is not None else ""
            return _cut(json.dumps(_scalar(target), ensure_ascii=False)) + late
        case SequenceNode():
            flat = json.dumps(plain_value(target), ensure_ascii=False)
            count = len(target.items)
            return flat if len(flat) <= _MAX_WIDTH else f"a list of {count} values"
        case MappingNode():
            return _cut(f"a mapping with {', '.join(named(target)) or 'nothing in it'}")


def plain_value(node: Node, depth: int = 0) -> Plain:
    """Returns a value as data; a construction is the text of its tag."""
    target = target_of(node)
    if target is None or depth > _MAX_DEPTH:
        return None if target is None else "..."
    if tag_kind(target) and target.tag is not None:
        return target.tag.text
    match target:
        case ScalarNode():
            return _scalar(target)
        case SequenceNode():
            return [plain_value(item, depth + 1) for item in target.items]
        case MappingNode():
            return {name: plain_value(found[-1].value, depth + 1) for name, found in named(target).items()}


def _constructed(target: ScalarNode | SequenceNode | MappingNode, tag: str) -> str:
    kind = tag_kind(target)
    if kind == "var":
        name = target.value if isinstance(target, ScalarNode) else ""
        return f"the variable {name or 'of its `name`'} of the program (`!var`)"
    if kind in ("list", "tuple", "dlist"):
        return f"a {'tuple' if kind == 'tuple' else 'list'} of {len(indexed(target))} (`{tag}`)"
    if kind == "dict":
        return _cut(f"a mapping with {', '.join(named(target)) or 'nothing in it'}")
    callee = tag.partition(":")[2].partition("@")[0]
    words = {"factory": "{}, a new one at every reference", "partial": "a function that calls {}"}
    words |= {"lambda": words["partial"], "meta": "what {} makes at build time"}
    call = _cut(f"{callee}({', '.join(named(target))})")
    return words.get(kind, "{}, constructed once").format(call)


def _scalar(node: ScalarNode) -> bool | int | float | str | None:
    """Returns a scalar's value, or its text if its type is not one of configurations."""
    kind = scalar_type(node.value, node.is_plain) if node.tag is None else standard_type(node.tag.text)
    try:
        return scalar_value(node.value, kind or "str")
    except (UnsupportedScalar, ValueError, OverflowError, IndexError):
        return node.value


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_WIDTH else text[: _MAX_WIDTH - 3] + "..."

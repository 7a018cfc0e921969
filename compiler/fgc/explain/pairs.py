"""Lists the names in YAML collections with all values that each had; the last one is effective."""

import re
from collections.abc import Iterator

from msgspec import Struct

from fgc.patterns import regex
from fgc.yaml import AliasNode, MappingNode, Node, ScalarNode, SequenceNode, scalar_type

_ARGUMENT_NUMBER = regex(r"arg(\d+)")


class Candidate(Struct, frozen=True):
    """A value that was written for a name: its key, if it has one, and the merge that brought it, if one did."""

    value: Node
    key: Node | None = None
    merge: Node | None = None


def target_of(node: Node | None) -> ScalarNode | SequenceNode | MappingNode | None:
    """Returns the node itself, or the target of an alias."""
    return node.target if isinstance(node, AliasNode) else node


def tag_kind(node: Node | None) -> str:
    """Returns `call`, `dlist` and so on; empty for a node without a construction tag."""
    target = target_of(node)
    label = target.tag.text if target is not None and target.tag is not None else ""
    match = re.match(r"!([a-z_]+)", label)
    return match[1] if match else ""


def named(node: Node) -> dict[str, list[Candidate]]:
    """Returns the candidates of each name or positional argument in a node, in order of precedence."""
    target = target_of(node)
    found: dict[str, list[Candidate]] = {}
    if isinstance(target, MappingNode):
        for key, candidate in _flatten(target, None, ()):
            found.setdefault(key, []).append(candidate)
        found |= _spread(target, found)
    elif isinstance(target, SequenceNode) and tag_kind(target):
        found = {f"arg{number}": [Candidate(item)] for number, item in enumerate(target.items)}
    elif isinstance(target, ScalarNode) and tag_kind(target) not in ("", "var") and target.value:
        plain = ScalarNode(target.value, target.is_plain, target.origin, parts=target.parts)
        found = {"arg0": [Candidate(plain)]}
    return found


def indexed(node: Node) -> list[list[Candidate]]:
    """Returns the candidates of `[0]`, `[1]` and so on in a node."""
    target = target_of(node)
    if isinstance(target, SequenceNode):
        return [[Candidate(item)] for item in target.items]
    names = named(node)
    if tag_kind(target) == "dlist":
        return [candidates for candidates in names.values() if not _is_null(candidates[-1].value)]
    numbered = {int(match[1]): names[name] for name in names if (match := _ARGUMENT_NUMBER.fullmatch(name))}
    return [numbered[number] for number in sorted(numbered)]


def _flatten(mapping: MappingNode, merge: Node | None, path: tuple[int, ...]) -> Iterator[tuple[str, Candidate]]:
    """Yields all pairs, merged ones first; the last value of a key is effective."""
    if id(mapping) in path:
        return
    path = (*path, id(mapping))
    for key, value in mapping.pairs:
        if _is_merge(key):
            yield from _merged(value, merge or value, path)
    for key, value in mapping.pairs:
        target = target_of(key)
        if not _is_merge(key) and isinstance(target, ScalarNode):
            yield target.value, Candidate(value, key, merge)


def _merged(value: Node, merge: Node, path: tuple[int, ...]) -> Iterator[tuple[str, Candidate]]:
    target = target_of(value)
    if isinstance(target, MappingNode):
        yield from _flatten(target, merge, path)
    elif isinstance(target, SequenceNode):
        for item in reversed(target.items):
            inner = target_of(item)
            if isinstance(inner, MappingNode):
                yield from _flatten(inner, item, path)


def _spread(target: MappingNode, found: dict[str, list[Candidate]]) -> dict[str, list[Candidate]]:
    """Returns the names with the arguments in a call's `args` and `kwargs` added."""
    if tag_kind(target) in ("", "dict", "dlist") or not found or not set(found) <= {"args", "kwargs"}:
        return {}
    spread: dict[str, list[Candidate]] = {}
    args = target_of(found["args"][-1].value) if "args" in found else None
    if isinstance(args, SequenceNode):
        spread |= {f"arg{number}": [Candidate(item)] for number, item in enumerate(args.items)}
    return spread | (named(found["kwargs"][-1].value) if "kwargs" in found else {})


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.tag is None and scalar_type(key.value, key.is_plain) == "merge"


def _is_null(node: Node) -> bool:
    target = target_of(node)
    is_plain = isinstance(target, ScalarNode) and target.tag is None
    return isinstance(target, ScalarNode) and is_plain and scalar_type(target.value, target.is_plain) == "null"

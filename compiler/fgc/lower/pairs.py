"""The pairs of a YAML mapping as they count: merged, and with the last of several values at the place of the first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fgc.diagnostics import Diagnostic, Related
from fgc.ir import Scalar
from fgc.text import Origin
from fgc.yaml import AliasNode, MappingNode, Node, ScalarNode, SequenceNode, scalar_type

Report = Callable[[Diagnostic], None]
ReadKey = Callable[[ScalarNode], Scalar]


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with its place, its value as written, and the place of the value that it overrides, if any."""

    key: Scalar
    origin: Origin
    value: Node
    overrides: Origin | None = None


def read_pairs(mapping: MappingNode, read_key: ReadKey, report: Report) -> list[Pair]:
    """Merged keys first; of one key's values the last, at the place of the first."""
    found: dict[Scalar, Pair] = {}
    for pair in _flatten(mapping, read_key, report, ()):
        earlier = found.get(pair.key)
        overrides = earlier.origin if earlier else None
        found[pair.key] = Pair(earlier.key if earlier else pair.key, pair.origin, pair.value, overrides)
    return list(found.values())


def _flatten(mapping: MappingNode, read_key: ReadKey, report: Report, path: tuple[int, ...]) -> Iterator[Pair]:
    if id(mapping) in path:
        return
    path = (*path, id(mapping))
    for key, value in mapping.pairs:
        if _is_merge(key):
            yield from _merged(value, read_key, report, path)
    for key, value in mapping.pairs:
        if _is_merge(key):
            continue
        target = key.target if isinstance(key, AliasNode) else key
        if isinstance(target, ScalarNode):
            yield Pair(read_key(target), key.origin, value)
        elif target is not None:
            message = "a key must be a text or a number, not a list or mapping"
            report(Diagnostic.at(key.origin, "FGC313", message, help="put it in quotes to make it a text"))


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.tag is None and scalar_type(key.value, key.is_plain) == "merge"


def _merged(value: Node, read_key: ReadKey, report: Report, path: tuple[int, ...]) -> Iterator[Pair]:
    target = value.target if isinstance(value, AliasNode) else value
    if target is None:
        return
    if isinstance(target, MappingNode):
        yield from _flatten(target, read_key, report, path)
    elif isinstance(target, SequenceNode):
        for item in reversed(target.items):
            item_target = item.target if isinstance(item, AliasNode) else item
            if isinstance(item_target, MappingNode):
                yield from _flatten(item_target, read_key, report, path)
            elif item_target is not None:
                _refuse(item, report)
    else:
        _refuse(value, report)


def _refuse(value: Node, report: Report) -> None:
    message = "`<<` merges a mapping or a list of mappings, and this is neither"
    anchor = value.target.anchor if isinstance(value, AliasNode) and value.target is not None else None
    related = (Related(anchor.origin.span, f"`&{anchor.text}` is here"),) if anchor else ()
    report(Diagnostic.at(value.origin, "FGC308", message, help="name an anchor on a mapping", related=related))

"""Reads the effective pairs of a YAML mapping: merged, and the last value of a key at the position of the first."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Related
from fgc.ir import Scalar
from fgc.text import Origin
from fgc.yaml import AliasNode, MappingNode, Node, ScalarNode, SequenceNode, scalar_type

Report = Callable[[Diagnostic], None]
ReadKey = Callable[[ScalarNode], Scalar]
_MAX_MERGED = 100_000  # keys that mappings have from others, all together


class Pair(Struct, frozen=True):
    """A key with its place, its value as written, and the place of the value that it overrides, if any."""

    key: Scalar
    origin: Origin
    value: Node
    overrides: Origin | None = None


class PairReader:
    """Reads mappings, each only once, because merges of merges would multiply the work."""

    def __init__(self, read_key: ReadKey, report: Report) -> None:
        self._read_key = read_key
        self._report = report
        self._known: dict[int, list[Pair]] = {}
        self._reading: set[int] = set()
        self._num_merged = 0
        self._is_full = False

    def read(self, mapping: MappingNode) -> list[Pair]:
        """Returns the pairs, merged keys first; of several values of a key the last, at the position of the first."""
        known = self._known.get(id(mapping))
        if known is not None:
            return known
        if id(mapping) in self._reading:
            return []  # a mapping that merges itself, which was reported at the alias
        self._reading.add(id(mapping))
        found: dict[Scalar, Pair] = {}
        for pair in self._pairs(mapping):
            earlier = found.get(pair.key)
            overrides = earlier.origin if earlier else None
            found[pair.key] = Pair(earlier.key if earlier else pair.key, pair.origin, pair.value, overrides)
        self._reading.discard(id(mapping))
        self._known[id(mapping)] = self._within_bounds(list(found.values()), mapping)
        return self._known[id(mapping)]

    def _within_bounds(self, pairs: list[Pair], mapping: MappingNode) -> list[Pair]:
        """Returns the pairs of a merging mapping; none, with a finding, once there are too many in all."""
        self._num_merged += max(0, len(pairs) - len(mapping.pairs))
        if self._num_merged <= _MAX_MERGED:
            return pairs
        if not self._is_full:
            self._is_full = True
            message = f"mappings merge others, and get more than {_MAX_MERGED:,} keys by it"
            self._report(Diagnostic.at(mapping.origin, "FGC208", message, help="merge only what a mapping needs"))
        return []

    def _pairs(self, mapping: MappingNode) -> Iterator[Pair]:
        for key, value in mapping.pairs:
            if _is_merge(key):
                yield from self._merged(value)
        for key, value in mapping.pairs:
            if _is_merge(key):
                continue
            target = key.target if isinstance(key, AliasNode) else key
            if isinstance(target, ScalarNode):
                yield Pair(self._read_key(target), key.origin, value)
            elif target is not None:
                message = "a key must be a text or a number, not a list or mapping"
                help = "put it in quotes to make it a text"
                self._report(Diagnostic.at(key.origin, "FGC313", message, help=help))

    def _merged(self, value: Node) -> Iterator[Pair]:
        target = value.target if isinstance(value, AliasNode) else value
        if isinstance(target, MappingNode):
            yield from self.read(target)
        elif isinstance(target, SequenceNode):
            for item in reversed(target.items):
                item_target = item.target if isinstance(item, AliasNode) else item
                if isinstance(item_target, MappingNode):
                    yield from self.read(item_target)
                elif item_target is not None:
                    _refuse(item, self._report)
        elif target is not None and not target.is_broken:
            _refuse(value, self._report)


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.tag is None and scalar_type(key.value, key.is_plain) == "merge"


def _refuse(value: Node, report: Report) -> None:
    message = "`<<` merges a mapping or a list of mappings, and this is neither"
    anchor = value.target.anchor if isinstance(value, AliasNode) and value.target is not None else None
    related = (Related(anchor.origin.span, f"`&{anchor.text}` is here"),) if anchor else ()
    report(Diagnostic.at(value.origin, "FGC308", message, help="name an anchor on a mapping", related=related))

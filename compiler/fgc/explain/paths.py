"""A path such as `trainer_args.max_steps`, `callbacks[2].prompts[0]` or `&optimizer.lr` to what it names.

A key may hold dots: of the names that fit the path, the longest is taken.
"""

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from fgc.diagnostics import nearest
from fgc.explain.elsewhere import is_taken
from fgc.explain.pairs import Candidate, indexed, named, target_of
from fgc.patterns import regex
from fgc.yaml import Composition, MappingNode, Node, SequenceNode

_INDEX = regex(r"\[(?:(?P<number>-?\d+)|\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')\]")
_NAME = regex(r"[^.\[]+|\[[^\]]*\]?")


class UnknownPath(Struct, frozen=True):
    """A path that names nothing: what exists of it, what does not, and the names that exist there."""

    known: str
    missing: str
    nearest: str | None
    names: tuple[str, ...]

    def __str__(self) -> str:
        where = f"`{self.known}` has no `{self.missing}`" if self.known else f"there is no `{self.missing}`"
        if self.nearest is not None:
            return f"{where}; did you mean `{self.nearest}`?"
        return f"{where}; it has {', '.join(self.names)}" if self.names else f"{where}: it has no parts"


class Step(Struct, frozen=True):
    """A name on the way and every value that it had, the one that counts last; `rest` is the path from there."""

    path: str
    name: str
    candidates: tuple[Candidate, ...]
    rest: str

    @property
    def chosen(self) -> Candidate:
        return self.candidates[-1]


class Found(Struct, frozen=True):
    """What a path names, and the way there; `rest` is what of it leads on in another project."""

    node: Node
    steps: tuple[Step, ...]
    rest: str = ""


def find(composition: Composition, path: str) -> Found | UnknownPath:
    """Look a path up from the root, or from an anchor if it begins with `&`."""
    if path.startswith("&"):
        anchors = {f"&{name}": [Candidate(node)] for name, node in _anchored(composition.root).items()}
        return _named_step("", path, anchors, ())
    if composition.root is None:
        return UnknownPath("", path, None, ())
    return find_below(composition.root, path)


def find_below(node: Node, rest: str, known: str = "", steps: tuple[Step, ...] = ()) -> Found | UnknownPath:
    """Look the rest of a path up in a node."""
    if not rest:
        return Found(node, steps)
    options = named(node)
    if is_taken(node) and not _fitting(rest.removeprefix("."), options):
        return Found(node, steps, rest)
    index = _INDEX.match(rest)
    if index is not None and index["number"] is not None:
        return _index_step(node, known, rest, index, steps)
    if index is not None:
        name = index["double"] if index["double"] is not None else index["single"]
        if name in options:
            return _follow(known, index[0], options[name], rest[index.end() :], steps)
        return _unknown(known, name, options)
    return _named_step(known, rest.removeprefix(".") if known else rest, options, steps)


def _named_step(
    known: str, rest: str, options: Mapping[str, list[Candidate]], steps: tuple[Step, ...]
) -> Found | UnknownPath:
    fitting = _fitting(rest, options)
    if not fitting:
        match = _NAME.match(rest)
        return _unknown(known, match[0] if match else rest, options)
    name = max(fitting, key=len)
    dotted = f".{name}" if known else name
    return _follow(known, dotted, options[name], rest[len(name) :], steps)


def _fitting(rest: str, options: Iterable[str]) -> list[str]:
    return [name for name in options if name and rest.startswith(name) and rest[len(name) : len(name) + 1] in ".["]


def _index_step(
    node: Node, known: str, rest: str, index: re.Match[str], steps: tuple[Step, ...]
) -> Found | UnknownPath:
    items = indexed(node)
    number = int(index["number"])
    if not -len(items) <= number < len(items):
        span = (f"[0] to [{len(items) - 1}]" if len(items) > 1 else "[0]",) if items else tuple(named(node))
        return UnknownPath(known, index[0], None, span)
    return _follow(known, index[0], items[number], rest[index.end() :], steps)


def _follow(
    known: str, name: str, candidates: Iterable[Candidate], rest: str, steps: tuple[Step, ...]
) -> Found | UnknownPath:
    step = Step(known + name, name.removeprefix("."), tuple(candidates), rest)
    return find_below(step.chosen.value, rest, step.path, (*steps, step))


def _unknown(known: str, name: str, options: Iterable[str]) -> UnknownPath:
    names = tuple(option for option in options if not option.startswith(".") or name.startswith("."))
    return UnknownPath(known, name, nearest(name, names), names)


def _anchored(root: Node | None) -> dict[str, Node]:
    """Every anchored node by its anchor; of several, the last."""
    found: dict[str, Node] = {}
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop(0)
        target = target_of(node)
        if target is not node or target is None:
            continue
        if target.anchor is not None:
            found[target.anchor.text] = node
        if isinstance(target, SequenceNode):
            waiting[:0] = target.items
        elif isinstance(target, MappingNode):
            waiting[:0] = [part for pair in target.pairs for part in pair]
    return found

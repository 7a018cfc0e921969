"""Ranges by path to dimensions of one configuration: what stands there decides how a value is read.

A path that names no value may be an option that the configuration declares.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.cli.arguments import CannotRun
from fgc.diagnostics import did_you_mean, nearest
from fgc.explain.pairs import target_of
from fgc.explain.paths import UnknownPath, find
from fgc.pipeline.dynamic import DynamicArgument
from fgc.pipeline.ranges import (
    Choices,
    Condition,
    Interval,
    RangeError,
    as_integers,
    ends_of,
    grid_of,
    parse_range,
    split_values,
)
from fgc.pipeline.sweeps import Swept
from fgc.yaml import Composition, ScalarNode, SequenceNode, scalar_type

Values: TypeAlias = dict[str, str]  # of a trial, as they are written, by the names of dimensions
_MOST_COMBINATIONS = 10_000
_FORMS = "`PATH=log(1e-4,1e-2)`, `PATH=int(1,8)` or `PATH=1,2,3`"


class Dimension(Struct, frozen=True):
    """A value that is swept. `option`: the spelling of a declared option, where it is one and no path.

    `together`: the paths that each choice sets; empty where the name itself is the path. `is_switch`: an option that
    takes no value.
    """

    name: str
    values: Choices | Interval
    condition: Condition | None = None
    option: str | None = None
    is_switch: bool = False
    together: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def settings(self, text: str) -> dict[str, str]:
        """Returns what `--set` sets for a value."""
        if self.option is not None:
            return {}
        return dict(self.together[text]) if self.together else {self.name: text}

    def words(self, text: str) -> list[str]:
        """Returns the words of a command line for a value of a declared option."""
        if self.option is None or (self.is_switch and text == "false"):
            return []
        return [self.option] if self.is_switch else [f"{self.option}={text}"]


def swept_of(word: str) -> Swept:
    """Reads `PATH=RANGE`. Raises CannotRun."""
    path, equals, text = word.partition("=")
    if not equals or not path.strip() or not text.strip():
        raise CannotRun(f"`--over {word}`: write {_FORMS}")
    try:
        return Swept(path.strip(), parse_range(text))
    except RangeError as problem:
        raise CannotRun(f"`--over {word}`: {problem}") from None


def dimensions(
    swept: Sequence[Swept], composition: Composition, declared: Sequence[DynamicArgument]
) -> tuple[Dimension, ...]:
    """Returns what is swept, conditions behind what they depend on. Raises CannotRun, naming the one that is wrong."""
    names = [item.name for item in swept]
    for name in names:
        if names.count(name) > 1:
            raise CannotRun(f"`--over {name}` is given twice")
    found = {item.name: _resolved(item, composition, declared) for item in swept}
    for dimension in found.values():
        _check_condition(dimension, found)
    return tuple(_in_order(found))


def path_problem(item: Swept, composition: Composition, declared: Sequence[DynamicArgument]) -> str | None:
    """Returns what is wrong with a path and its range in this configuration."""
    try:
        _resolved(item, composition, declared)
        for path in {path for settings in item.together.values() for path in settings}:
            if isinstance(found := find(composition, path), UnknownPath):
                return str(found)
    except CannotRun as problem:
        return str(problem).removeprefix(f"`--over {item.name}`: ")
    return None


def active(dimensions: Iterable[Dimension], values: Mapping[str, str]) -> Iterator[Dimension]:
    """Yields the dimensions whose conditions hold; `values` may grow meanwhile."""
    for dimension in dimensions:
        condition = dimension.condition
        if condition is None or values.get(condition.path) in condition.texts:
            yield dimension


def combinations(dimensions: Sequence[Dimension]) -> list[Values]:
    """Returns every combination of a grid. Raises CannotRun for ranges that have no count, and for too many."""
    count = 1
    for dimension in dimensions:
        try:
            count *= len(grid_of(dimension.values))
        except RangeError as problem:
            raise CannotRun(f"`--over {dimension.name}`: {problem}") from None
        if count > _MOST_COMBINATIONS:
            raise CannotRun(f"the grid has more than {_MOST_COMBINATIONS:,} combinations; a sampler tries some of them")
    return list(_combined(dimensions, {}))


def _combined(rest: Sequence[Dimension], values: Values) -> Iterator[Values]:
    if not rest:
        yield values
        return
    first, *others = rest
    if not list(active([first], values)):
        yield from _combined(others, values)
        return
    for text in grid_of(first.values):
        yield from _combined(others, {**values, first.name: text})


def probes(dimensions: Sequence[Dimension]) -> Iterator[tuple[Dimension, Values]]:
    """Yields values to check before the first trial: each choice and each end once, with what its condition needs."""
    known = {dimension.name: dimension for dimension in dimensions}
    for dimension in dimensions:
        needed: Values = {}
        condition = dimension.condition
        while condition is not None:
            needed[condition.path] = condition.texts[0]
            condition = known[condition.path].condition
        for text in ends_of(dimension.values):
            yield dimension, {**needed, dimension.name: text}


def _resolved(item: Swept, composition: Composition, declared: Sequence[DynamicArgument]) -> Dimension:
    dimension = Dimension(item.name, item.range.values, item.range.condition)
    if item.together:
        return replace(dimension, together=item.together)
    option = _option(item.name, declared)
    if option is not None:
        return _as_option(dimension, option)
    found = find(composition, item.name)
    if isinstance(found, UnknownPath):
        names = [argument.names[0] for argument in declared]
        near = nearest(item.name, [*names, *(name.lstrip("-").replace("-", "_") for name in names)])
        help = f"did you mean `{near}`?" if near and found.nearest is None else ""
        raise CannotRun(f"`--over {item.name}`: {found}" + (f"; {help}" if help else ""))
    node = target_of(found.node)
    if isinstance(node, SequenceNode) and isinstance(dimension.values, Choices):
        return _as_items(dimension, len(node.items))
    is_plain = isinstance(node, ScalarNode) and node.is_plain
    kind = scalar_type(node.value, True) if isinstance(node, ScalarNode) and is_plain else "str"
    return _as_kind(dimension, kind)


def _option(name: str, declared: Iterable[DynamicArgument]) -> DynamicArgument | None:
    return next((each for each in declared if name == each.variable or name in each.names), None)


def _as_option(dimension: Dimension, option: DynamicArgument) -> Dimension:
    is_switch = option.action in ("store_true", "store_false")
    if option.action not in ("store", "store_true") or option.nargs not in (None, "?"):
        raise CannotRun(f"`--over {dimension.name}`: `{option.names[0]}` does not take a single value")
    if is_switch and not set(ends_of(dimension.values)) <= {"true", "false"}:
        raise CannotRun(f"`--over {dimension.name}`: `{option.names[0]}` is a switch: write true,false")
    long = next((name for name in option.names if name.startswith("--")), option.names[0])
    return replace(_as_kind(dimension, option.type), option=long, is_switch=is_switch)


def _as_items(dimension: Dimension, count: int) -> Dimension:
    """A list is swept item by item: each choice sets all of them."""
    together = {}
    assert isinstance(dimension.values, Choices), "intervals are numbers"
    for text in dimension.values.texts:
        if not (text.startswith("[") and text.endswith("]")):
            raise CannotRun(
                f"`--over {dimension.name}`: the value there is a list, and `{text}` is not: write [A, B],[C, D]"
            )
        items = split_values(text[1:-1])
        if len(items) != count:
            raise CannotRun(f"`--over {dimension.name}`: the list there has {count} items, and `{text}` {len(items)}")
        together[text] = {f"{dimension.name}[{index}]": item for index, item in enumerate(items)}
    return replace(dimension, together=together)


def _as_kind(dimension: Dimension, kind: str) -> Dimension:
    """The dimension where a value of a YAML type stands, or of an option's."""
    values = dimension.values
    if isinstance(values, Choices):
        return dimension
    if kind == "int" or (kind == "null" and float(values.low).is_integer() and float(values.high).is_integer()):
        try:
            return replace(dimension, values=as_integers(values))
        except RangeError as problem:
            raise CannotRun(f"`--over {dimension.name}`: {problem}") from None
    if kind in ("float", "null"):
        return dimension
    stands = {"bool": "true or false", "str": "a text", "path": "a path"}.get(kind, "no number")
    raise CannotRun(f"`--over {dimension.name}`: {stands} is there, which is not a number; list the values")


def _check_condition(dimension: Dimension, known: Mapping[str, Dimension]) -> None:
    condition = dimension.condition
    if condition is None:
        return
    other = known.get(condition.path)
    if other is None or other is dimension:
        help = did_you_mean(condition.path, [name for name in known if name != dimension.name])
        problem = f"its condition is about `{condition.path}`, which is not swept"
        raise CannotRun(f"`--over {dimension.name}`: {problem}" + (f"; {help}" if help else ""))
    if not isinstance(other.values, Choices):
        raise CannotRun(f"`--over {dimension.name}`: its condition needs a list of values for `{condition.path}`")
    for text in condition.texts:
        if text not in other.values.texts:
            help = did_you_mean(text, other.values.texts) or f"it is one of {', '.join(other.values.texts)}"
            raise CannotRun(f"`--over {dimension.name}`: `{condition.path}` is never `{text}`; {help}")


def _in_order(known: Mapping[str, Dimension]) -> Iterator[Dimension]:
    """Yields all, each behind the one of its condition."""
    done: dict[str, Dimension] = {}
    for _ in itertools.repeat(None, len(known)):
        for name, dimension in known.items():
            condition = dimension.condition
            if name not in done and (condition is None or condition.path in done):
                done[name] = dimension
    if len(done) < len(known):
        rest = ", ".join(f"`{name}`" for name in known if name not in done)
        raise CannotRun(f"the conditions of {rest} depend on each other")
    yield from done.values()

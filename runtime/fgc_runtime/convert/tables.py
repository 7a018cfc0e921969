"""A conversion table to rules: which tensors of a package are which of an architecture, and the same for fields.

A rule names tensors by patterns. `*` is a layer's number. `{q,k,v}` are several tensors, which the other side keeps as
one, joined along their first axis; `transposed` says that the architecture keeps that one transposed. `#` is the number
of an expert: the architecture's files hold a tensor for each, and the package one with all of them along a new first
axis. Every rule can be read in both directions, so a table is a bijection by construction.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fgc_runtime.convert.faults import ConvertError

_SEVERAL = re.compile(r"\{([^{}]*)\}")
_EXPERT = "#"


@dataclass(frozen=True, slots=True)
class TensorRule:
    """Tensors of a package (`ours`) and those of the architecture (`theirs`) that hold the same numbers.

    With `in_files`, only the architecture's files have these names: its class in memory has the package's.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    transposed: bool = False
    in_files: bool = False

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "TensorRule":
        """Reads an entry of a table. Raises ConvertError if several tensors of both sides belong together."""
        ours, theirs = _several(entry["ours"]), _several(entry["theirs"])
        is_stacked = _EXPERT in entry["theirs"]
        if len(ours) > 1 and (is_stacked or len(theirs) > 1):
            raise ConvertError(f"`{entry['ours']}` and `{entry['theirs']}` are several tensors on both sides")
        return cls(ours, theirs, bool(entry.get("transposed")), is_stacked or bool(entry.get("in_files")))

    @property
    def is_stacked(self) -> bool:
        """Returns whether the architecture's files hold a tensor for each expert."""
        return _EXPERT in self.theirs[0]

    @property
    def in_memory(self) -> tuple[str, ...]:
        """The names that the architecture's class has."""
        return self.ours if self.in_files else self.theirs


@dataclass(frozen=True, slots=True)
class Group:
    """One application of a rule: the tensors of a package and those of the architecture that are the same numbers.

    `num_stacked` is the number of experts whose tensors are stacked, 0 if none are.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    transposed: bool = False
    in_files: bool = False
    num_stacked: int = 0

    @property
    def is_plain(self) -> bool:
        """Returns whether the numbers lie in the same order on both sides."""
        return len(self.ours) == 1 and len(self.theirs) == 1 and not self.transposed and not self.num_stacked

    @property
    def is_same(self) -> bool:
        return self.is_plain and self.ours == self.theirs

    @property
    def in_memory(self) -> tuple[str, ...]:
        """The names that the architecture's class has."""
        return self.ours if self.in_files else self.theirs

    @property
    def unchanged(self) -> "Group":
        """The group if the architecture's files have the package's names."""
        return Group(self.ours, self.ours)


CountExperts = Callable[[TensorRule, Sequence[str]], int]  # of a rule in a layer


@dataclass(frozen=True, slots=True)
class Switch:
    """A field of the architecture that adds tensors: in a package, an argument of a part, or its template, says so."""

    block: str
    tensors: str
    argument: str | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A value of the architecture that chooses a part: `templates` has a template for each value, null the usual part.

    `field` leads to the value, with points between the keys of nested ones.
    """

    field: str
    block: str
    templates: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Architecture:
    """Says how one architecture of transformers and the packages of one template correspond.

    `renamed` maps fields of a package to fields of the architecture; `same` have one name on both sides. `fixed`
    fields must have the value that the template stands for. `parts` choose classes by a value. `ignored` ones do not
    change what the model computes. `dropped` ones are of parts that are left out; they get a value on the way back.
    `implied` ones of a package follow from others, `computed` ones do if they are null. A package of the template has
    parts of the classes `modules`. `skips_further_layers` leaves out layers behind the last one of the configuration,
    which predict further tokens. `file` is where the table stands.
    """

    name: str
    model_type: str
    template: str
    same: tuple[str, ...]
    renamed: Mapping[str, str]
    fixed: Mapping[str, Any]
    ignored: tuple[str, ...]
    dropped: Mapping[str, Any]
    switches: Mapping[str, Switch]
    rules: tuple[TensorRule, ...]
    prefix: str
    modules: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    skips_further_layers: bool = False
    derived: Mapping[str, Any] = field(default_factory=dict)
    implied: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    file: str = ""

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Architecture":
        """Read a table, as its YAML file holds it."""
        config = table["config"]
        return cls(
            name=table["architecture"],
            model_type=table["model_type"],
            template=table["template"],
            same=tuple(config.get("same") or ()),
            renamed=config.get("renamed") or {},
            fixed=config.get("fixed") or {},
            ignored=tuple(config.get("ignored") or ()),
            dropped=config.get("dropped") or {},
            switches={name: Switch(**entry) for name, entry in (config.get("switches") or {}).items()},
            rules=tuple(TensorRule.of(entry) for entry in table.get("tensors") or ()),
            prefix=table.get("prefix", "model."),
            modules=tuple(table["modules"]),
            skipped=tuple(table.get("skipped") or ()),
            skips_further_layers=bool(table.get("skips_further_layers")),
            derived=config.get("derived") or {},
            implied=tuple(config.get("implied") or ()),
            computed=tuple(config.get("computed") or ()),
            parts=tuple(Part(name, **entry) for name, entry in (table.get("parts") or {}).items()),
            file=table.get("file", ""),
        )

    @property
    def fields(self) -> dict[str, str]:
        """Fields of a package to fields of the architecture."""
        return {**{name: name for name in self.same}, **self.renamed}

    def group_of_ours(self, name: str, count: CountExperts) -> Group:
        """The group that a tensor of a package belongs to; without a rule it has the same name on both sides."""
        return self._group(name, count, lambda rule: rule.ours)

    def group_of_theirs(self, name: str, count: CountExperts) -> Group:
        """The group that a tensor of the architecture's files belongs to."""
        return self._group(name, count, lambda rule: rule.theirs)

    def group_in_memory(self, name: str, count: CountExperts) -> Group:
        """The group that a tensor of the architecture's class belongs to."""
        return self._group(name, count, lambda rule: rule.in_memory)

    def _group(self, name: str, count: CountExperts, side: Callable[[TensorRule], Sequence[str]]) -> Group:
        for rule in self.rules:
            for pattern in side(rule):
                layer = _match(pattern, name)
                if layer is not None:
                    return _group(rule, layer, count)
        return Group((name,), (name,))

    def is_skipped(self, name: str, num_layers: int) -> bool:
        """Returns whether a tensor of the architecture is no weight of a model with so many layers.

        Such are masks and angles that old versions saved, and layers behind the last one, if the table says so.
        """
        layer = _layer_number(self.prefix).match(name) if self.skips_further_layers else None
        if layer is not None and int(layer[1]) >= num_layers:
            return True
        return any(_match(pattern, name) is not None for pattern in self.skipped)


def matches(pattern: str, name: str) -> bool:
    """Returns whether a tensor's name is one of a pattern's."""
    return _match(pattern, name) is not None


def count_experts(architecture: Architecture, names: Iterable[str]) -> CountExperts:
    """Returns what tells the number of experts of a rule in a layer, by the names of the architecture's files."""
    stacked = [(rule, pattern) for rule in architecture.rules if rule.is_stacked for pattern in rule.theirs]
    found: dict[tuple[TensorRule, tuple[str, ...]], int] = {}
    for name in names if stacked else ():
        for rule, pattern in stacked:
            match = _regex(pattern.replace(_EXPERT, "*")).fullmatch(name)
            if match is not None:
                *layer, expert = match.groups()  # the expert's number follows the layer's
                key = rule, tuple(layer)
                found[key] = max(found.get(key, 0), int(expert) + 1)
    return lambda rule, layer: found.get((rule, tuple(layer)), 0)


def check_table(architecture: Architecture) -> None:
    """Raises ConvertError if two rules claim one tensor, or a field is mapped twice."""
    theirs = [name for rule in architecture.rules for name in rule.theirs]
    ours = [name for rule in architecture.rules for name in rule.ours]
    fields = list(architecture.fields.values())
    for names in (theirs, ours, fields):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConvertError(f"the table of {architecture.name} names {', '.join(twice)} twice")


def _several(pattern: str) -> tuple[str, ...]:
    several = _SEVERAL.search(pattern)
    if several is None:
        return (pattern,)
    return tuple(_SEVERAL.sub(part.strip(), pattern) for part in several[1].split(","))


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", r"(\d+)").replace(re.escape(_EXPERT), r"\d+"))


@cache
def _layer_number(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(prefix)}layers\.(\d+)\.")


def _match(pattern: str, name: str) -> Sequence[str] | None:
    """The layer numbers in a name, or None if it is not of the pattern."""
    match = _regex(pattern).fullmatch(name)
    return None if match is None else match.groups()


def _group(rule: TensorRule, layer: Sequence[str], count: CountExperts) -> Group:
    ours = tuple(filled(name, layer) for name in rule.ours)
    theirs = tuple(filled(name, layer) for name in rule.theirs)
    if not rule.is_stacked:
        return Group(ours, theirs, rule.transposed, rule.in_files)
    num_experts = count(rule, layer)
    each = tuple(name.replace(_EXPERT, str(expert)) for expert in range(max(num_experts, 1)) for name in theirs)
    return Group(ours, each, rule.transposed, rule.in_files, max(num_experts, 1))


def filled(pattern: str, layer: Sequence[str]) -> str:
    """Returns a pattern's name in a layer."""
    for number in layer:
        pattern = pattern.replace("*", number, 1)
    return pattern

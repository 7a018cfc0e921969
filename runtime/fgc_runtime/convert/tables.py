"""A conversion table to rules: which tensor of a package is which of an architecture, and the same for fields.

A rule names tensors by patterns. `*` is a layer's number. `{q,k,v}` in the package's pattern are several tensors,
which the architecture keeps as one, joined along their first axis; `transposed` says that it keeps that one
transposed. Every rule can be read in both directions, so a table is a bijection by construction.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fgc_runtime.convert.faults import ConvertError

_SEVERAL = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class TensorRule:
    """Tensors of a package (`ours`) and the one of the architecture (`theirs`) that holds the same numbers."""

    ours: tuple[str, ...]
    theirs: str
    transposed: bool = False

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "TensorRule":
        several = _SEVERAL.search(entry["ours"])
        parts = several[1].split(",") if several else [""]
        ours = tuple(_SEVERAL.sub(part.strip(), entry["ours"]) if several else entry["ours"] for part in parts)
        return cls(ours, entry["theirs"], bool(entry.get("transposed", False)))


@dataclass(frozen=True, slots=True)
class Group:
    """One application of a rule: the tensors of a package and the one that they make up in the architecture."""

    ours: tuple[str, ...]
    theirs: str
    transposed: bool

    @property
    def is_plain(self) -> bool:
        """Whether the numbers lie in the same order on both sides."""
        return len(self.ours) == 1 and not self.transposed

    @property
    def is_same(self) -> bool:
        return self.is_plain and self.ours[0] == self.theirs


@dataclass(frozen=True, slots=True)
class Switch:
    """A field of the architecture that adds tensors: in a package, an argument of a part says so."""

    block: str
    argument: str
    tensors: str


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
    """How one architecture of transformers and the packages of one template correspond.

    `renamed` maps fields of a package to fields of the architecture; `same` have one name on both sides. `fixed`
    fields must have the value that the template stands for. `parts` choose classes by a value. `ignored` ones do not
    change what the model computes, `implied` ones of a package follow from others. A package of the template has
    parts of the classes `modules`.
    """

    name: str
    model_type: str
    template: str
    same: tuple[str, ...]
    renamed: Mapping[str, str]
    fixed: Mapping[str, Any]
    ignored: tuple[str, ...]
    switches: Mapping[str, Switch]
    rules: tuple[TensorRule, ...]
    prefix: str
    modules: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    derived: Mapping[str, Any] = field(default_factory=dict)
    implied: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

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
            switches={name: Switch(**entry) for name, entry in (config.get("switches") or {}).items()},
            rules=tuple(TensorRule.of(entry) for entry in table.get("tensors") or ()),
            prefix=table.get("prefix", "model."),
            modules=tuple(table["modules"]),
            skipped=tuple(table.get("skipped") or ()),
            derived=config.get("derived") or {},
            implied=tuple(config.get("implied") or ()),
            parts=tuple(Part(name, **entry) for name, entry in (table.get("parts") or {}).items()),
        )

    @property
    def fields(self) -> dict[str, str]:
        """Fields of a package to fields of the architecture."""
        return {**{name: name for name in self.same}, **self.renamed}

    def group_of_ours(self, name: str) -> Group:
        """The group that a tensor of a package belongs to; without a rule it has the same name on both sides."""
        for rule in self.rules:
            for pattern in rule.ours:
                layer = _match(pattern, name)
                if layer is not None:
                    return _group(rule, layer)
        return Group((name,), name, False)

    def group_of_theirs(self, name: str) -> Group:
        """The group that a tensor of the architecture belongs to."""
        for rule in self.rules:
            layer = _match(rule.theirs, name)
            if layer is not None:
                return _group(rule, layer)
        return Group((name,), name, False)

    def is_skipped(self, name: str) -> bool:
        """Whether a tensor of the architecture is no weight: masks and angles that old versions saved."""
        return any(_match(pattern, name) is not None for pattern in self.skipped)


def matches(pattern: str, name: str) -> bool:
    """Whether a tensor's name is one of a pattern's."""
    return _match(pattern, name) is not None


def check_table(architecture: Architecture) -> None:
    """Raises ConvertError if two rules claim one tensor, or a field is mapped twice."""
    theirs = [rule.theirs for rule in architecture.rules]
    ours = [name for rule in architecture.rules for name in rule.ours]
    fields = list(architecture.fields.values())
    for names in (theirs, ours, fields):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConvertError(f"the table of {architecture.name} names {', '.join(twice)} twice")


def _match(pattern: str, name: str) -> Sequence[str] | None:
    """The layer numbers in a name, or None if it is not of the pattern."""
    match = re.fullmatch(re.escape(pattern).replace(r"\*", r"(\d+)"), name)
    return None if match is None else match.groups()


def _group(rule: TensorRule, layer: Sequence[str]) -> Group:
    return Group(tuple(_filled(name, layer) for name in rule.ours), _filled(rule.theirs, layer), rule.transposed)


def _filled(pattern: str, layer: Sequence[str]) -> str:
    for number in layer:
        pattern = pattern.replace("*", number, 1)
    return pattern

"""A model to the tree of its modules with their parameters; equal layers stand together in one line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from torch import nn


@dataclass(frozen=True, slots=True)
class ModuleLine:
    """A module, or `count` modules alike; `parameters` are those of one of them with everything inside it.

    A module inside of `n` modules alike counts `n` times. A parameter that several modules share counts for the first
    that has it.
    """

    path: str
    kind: str
    parameters: int
    count: int
    depth: int
    shapes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def total(self) -> int:
        return self.count * self.parameters


@dataclass(slots=True, eq=False)
class _Module:
    path: str
    module: nn.Module
    own: dict[str, nn.Parameter]
    parts: "list[_Module]" = field(default_factory=list)
    parameters: int = 0

    @property
    def shape(self) -> tuple[object, ...]:
        """Returns what it looks like: modules of one shape are alike."""
        own = tuple((name, tuple(parameter.shape)) for name, parameter in self.own.items())
        return type(self.module), own, tuple((part.name, part.shape) for part in self.parts)

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def module_lines(model: nn.Module, max_depth: int) -> Iterator[ModuleLine]:
    """The tree in the order of construction, as deep as `max_depth`; the model itself has depth 0."""
    return _lines(_tree("", model, set()), 0, max_depth)


def print_model_structure(model: nn.Module, max_depth: int = 4, file: TextIO | None = None) -> None:
    """Print the tree of a model's modules: the names that serving plans use, classes, shapes and parameter counts.

    Layers that are alike stand in one line: `layers.0-31`. Works for models on the meta device.
    """
    lines = list(module_lines(model, max_depth))
    rows = [(f"{'  ' * line.depth}{line.path or '(model)'}", _what(line), f"{line.total:,}") for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, what, count in rows:
        print(f"{name:<{widths[0]}}  {what:<{widths[1]}}  {count:>{widths[2]}}".rstrip(), file=file)


def tied_parameters(model: nn.Module) -> dict[str, str]:
    """Parameters that are another one under a second name, by that name."""
    first: dict[int, str] = {}
    tied: dict[str, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        known = first.setdefault(id(parameter), name)
        if known != name:
            tied[name] = known
    return tied


def _tree(path: str, module: nn.Module, seen: set[int]) -> _Module:
    own = {name: item for name, item in module.named_parameters(recurse=False) if id(item) not in seen}
    seen.update(id(item) for item in own.values())
    node = _Module(path, module, own)
    node.parts = [_tree(f"{path}.{name}" if path else name, part, seen) for name, part in module.named_children()]
    node.parameters = sum(item.numel() for item in own.values()) + sum(part.parameters for part in node.parts)
    return node


def _lines(node: _Module, depth: int, max_depth: int, count: int = 1, path: str | None = None) -> Iterator[ModuleLine]:
    shapes = tuple(f"{name}{list(item.shape)}" for name, item in node.own.items())
    kind = type(node.module).__name__
    yield ModuleLine(node.path if path is None else path, kind, node.parameters, count, depth, shapes)
    if depth < max_depth:
        for alike in _runs(node.parts):
            first, last = alike[0], alike[-1]
            shown = first.path if len(alike) == 1 else f"{first.path}-{last.name}"
            yield from _lines(first, depth + 1, max_depth, count * len(alike), shown)


def _runs(parts: Sequence[_Module]) -> list[list[_Module]]:
    """Numbered neighbours that are alike, together."""
    runs: list[list[_Module]] = []
    for part in parts:
        is_alike = bool(runs) and part.name.isdecimal() and runs[-1][-1].name.isdecimal()
        if is_alike and runs[-1][-1].shape == part.shape:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _what(line: ModuleLine) -> str:
    return " ".join([line.kind, *line.shapes])

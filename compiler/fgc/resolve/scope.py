"""Names and their values while a template runs: Jinja2's scoping.

A template and its ancestors share a context. Loops, blocks, macros and `with` each have a scope of their own, and a
name that is set there disappears when the scope ends.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from fgc.syntax import ast

_ABSENT = object()


class BlockDefinition(Struct, eq=False):
    """A block and the template that defines it."""

    block: ast.Block
    template: ast.Template


class Context(Struct, eq=False):
    """One run of a template and its ancestors: their shared variables, and the definitions of each block, child first.

    `is_broken`: a parent was not found, so names may be missing. `lost_blocks` override nothing, so the blocks that
    they were meant for lack their text.
    """

    outside: dict[str, Any]
    names: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, list[BlockDefinition]] = field(default_factory=dict)
    chain: list[ast.Template] = field(default_factory=list)
    is_broken: bool = False
    lost_blocks: set[str] = field(default_factory=set)

    def get(self, name: str) -> Any:
        if name in self.names:
            return self.names[name]
        return self.outside.get(name, _ABSENT)

    @property
    def may_lack_names(self) -> bool:
        """Returns True if a mistake may hide names that the templates set."""
        return self.is_broken or any(template.is_partial for template in self.chain)

    def may_lack_blocks(self, first: int, last: int | None = None) -> bool:
        """Returns True if a mistake may hide blocks of templates `first` to `last`, counted from the youngest."""
        return any(template.has_lost_blocks for template in self.chain[first:last])

    def add_blocks(self, template: ast.Template) -> None:
        self.chain.append(template)
        for name, block in template.blocks.items():
            self.blocks.setdefault(name, []).append(BlockDefinition(block, template))


class Scope(Struct, eq=False):
    """A set of names with an outer scope. `is_top`: the top level of a template, where a name is also exported."""

    context: Context
    parent: "Scope | None" = None
    is_top: bool = False
    names: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The value of a name, or `absent`."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return self.context.get(name)

    def set(self, name: str, value: Any) -> None:
        self.names[name] = value
        if self.is_top:
            self.context.names[name] = value

    def inner(self) -> "Scope":
        return Scope(self.context, self)

    def local_names(self) -> dict[str, Any]:
        """Returns the names of all scopes, which an include or a scoped block sees in addition to the context."""
        merged: dict[str, Any] = {}
        for scope in reversed(list(self._up())):
            merged |= scope.names
        return merged

    def visible(self) -> dict[str, Any]:
        return {**self.context.outside, **self.context.names, **self.local_names()}

    def _up(self) -> Iterator["Scope"]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


absent = _ABSENT

"""Templates to what they set and what they read: the names that one template alone does not explain."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from msgspec import Struct, field

from fgc.resolve.mentions import children
from fgc.syntax import ast
from fgc.text import Span

_OPTIONAL_FILTERS = ("default", "d")
_OPTIONAL_TESTS = ("defined", "undefined")


class FilterUse(Struct, frozen=True):
    """A filter or a test, and whether a condition decides if it is used."""

    filter: ast.Filter
    is_test: bool
    is_conditional: bool


class Usage(Struct):
    """Names by what happens to them; a name's place is the first.

    `defined`: by any statement. `optional`: asked for with `is defined` or `default`. Attributes are those of
    namespaces where they are set, and of anything where they are read.
    """

    reads: dict[str, Span] = field(default_factory=dict)
    sets: dict[str, Span] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    attribute_sets: dict[tuple[str, str], Span] = field(default_factory=dict)
    attribute_reads: dict[str, Span] = field(default_factory=dict)
    dynamic_reads: set[str] = field(default_factory=set)
    filters: list[FilterUse] = field(default_factory=list)
    branches: list[ast.If] = field(default_factory=list)
    blocks: list[ast.Block] = field(default_factory=list)


def joined(usages: Iterable[Usage]) -> Usage:
    """The usage of several templates together."""
    parts = list(usages)
    whole = Usage()
    for part in reversed(parts):  # a name's place is the first
        whole.reads.update(part.reads)
        whole.sets.update(part.sets)
        whole.attribute_sets.update(part.attribute_sets)
        whole.attribute_reads.update(part.attribute_reads)
    for part in parts:
        whole.defined |= part.defined
        whole.optional |= part.optional
        whole.dynamic_reads |= part.dynamic_reads
        whole.filters += part.filters
        whole.branches += part.branches
        whole.blocks += part.blocks
    return whole


@lru_cache(maxsize=4096)
def usage_of(template: ast.Template) -> Usage:
    """The usage of one template; templates are compared by identity."""
    return usage_in(template.body)


def usage_in(nodes: Iterable[Any]) -> Usage:
    """The usage of statements or expressions."""
    usage = Usage()
    stack: list[tuple[Any, bool]] = [(node, False) for node in nodes][::-1]
    while stack:
        node, is_conditional = stack.pop()
        if isinstance(node, tuple):
            stack += [(child, is_conditional) for child in node[::-1]]
            continue
        if not hasattr(node, "span"):
            continue
        _define(node, usage)
        _read(node, usage, is_conditional)
        below = is_conditional or isinstance(node, (ast.If, ast.Conditional))
        stack += [(child, below) for child in _read_children(node)[::-1]]
    return usage


def _define(node: Any, usage: Usage) -> None:
    match node:
        case ast.Set() | ast.SetBlock():
            _define_target(node.target, usage, is_set=True)
        case ast.For():
            _define_target(node.target, usage, is_set=False)
        case ast.With():
            for target, _ in node.bindings:
                _define_target(target, usage, is_set=False)
        case ast.Macro():
            usage.defined |= {node.name, *(parameter.name for parameter in node.parameters)}
        case ast.CallBlock():
            usage.defined |= {parameter.name for parameter in node.parameters}
        case ast.Import():
            usage.defined.add(node.name)
        case ast.FromImport():
            usage.defined |= {name.alias for name in node.names}
            for name in node.names:
                usage.reads.setdefault(name.name, name.span)
        case ast.If():
            usage.branches.append(node)
        case ast.Block():
            usage.blocks.append(node)
        case _:
            pass


def _define_target(target: ast.Target, usage: Usage, *, is_set: bool) -> None:
    match target:
        case ast.Name():
            usage.defined.add(target.name)
            if is_set:
                usage.sets.setdefault(target.name, target.span)
        case ast.NamespaceTarget():
            usage.attribute_sets.setdefault((target.namespace, target.attribute), target.attribute_span)
        case ast.TargetTuple():
            for item in target.items:
                _define_target(item, usage, is_set=False)


def _read(node: Any, usage: Usage, is_conditional: bool) -> None:
    match node:
        case ast.Name():
            usage.reads.setdefault(node.name, node.span)
        case ast.GetAttr():
            usage.attribute_reads.setdefault(node.name, node.name_span)
        case ast.GetItem(index=ast.Const(value=str() as name)):
            usage.attribute_reads.setdefault(name, node.index.span)
        case ast.GetItem(base=ast.Name() as base):
            usage.dynamic_reads.add(base.name)
        case ast.FilterExpr():
            usage.filters.append(FilterUse(node.filter, False, is_conditional))
            if isinstance(node.base, ast.Name) and node.filter.name in _OPTIONAL_FILTERS:
                usage.optional.add(node.base.name)
        case ast.TestExpr():
            usage.filters.append(FilterUse(node.test, True, is_conditional))
            if isinstance(node.base, ast.Name) and node.test.name in _OPTIONAL_TESTS:
                usage.optional.add(node.base.name)
        case ast.FilterBlock() | ast.SetBlock():
            usage.filters += [FilterUse(filter, False, is_conditional) for filter in node.filters]
        case _:
            pass


def _read_children(node: Any) -> list[Any]:
    """The children of a node that are read: all but targets of assignments."""
    match node:
        case ast.Set():
            return [node.value]
        case ast.SetBlock():
            return [node.filters, node.body]
        case ast.For():
            return [node.iterable, node.condition, node.body, node.otherwise]
        case ast.With():
            return [tuple(value for _, value in node.bindings), node.body]
        case ast.NamespaceTarget():
            return []
        case _:
            return children(node)

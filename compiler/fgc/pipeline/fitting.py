"""Values of a configuration and annotations: which value, or which item of a list or a mapping, does not fit.

Any doubt is in favour of the value: a name that is not known may be anything, a text is a sequence of texts, and what a
library may make an object of, it may take for one. Names are looked up only where the rest of an annotation excludes
the value.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from fgc.diagnostics.nearest import did_you_mean
from fgc.ir import (
    Call,
    CallKind,
    Deferred,
    DictNode,
    Graph,
    ListNode,
    Literal,
    Node,
    NodeId,
    SymbolKind,
    Var,
    display_type,
)
from fgc.pipeline.literal_types import article, excluded_by, plain_types, type_excluded_by
from fgc.pipeline.object_types import class_excludes, object_excluded_by
from fgc.signatures import Meaning, MeaningKind, Parameter, TypeName

_CONCRETE = {"list", "List", "tuple", "Tuple", "set", "Set", "frozenset", "FrozenSet"}
_SEQUENCES = {"Sequence", "MutableSequence", "Collection", "Iterable", *_CONCRETE}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict"}
_WRAPPERS = {"Optional", "Annotated", "Required", "NotRequired", "Final", "InitVar", "ReadOnly"}
_TRUTHS = {"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"}
_MAX_DEPTH = 12  # aliases of aliases


class NameMeanings(Protocol):
    """Knows what names in annotations mean."""

    def meaning(self, home: str, name: str) -> Meaning: ...


class Misfit(Struct, frozen=True):
    """A value that an annotation has no room for, what it is, and what to do."""

    node_id: NodeId
    is_what: str
    help: str | None = None


class Fitting(Struct, frozen=True):
    """The values of a graph, compared with annotations; `types` are those of objects, as far as they are known."""

    graph: Graph
    names: NameMeanings | None
    types: Mapping[NodeId, Sequence[TypeName]]

    def misfits(self, parameter: Parameter, node_id: NodeId) -> Sequence[Misfit]:
        """The innermost values that the annotation of a parameter excludes."""
        found = self._written(parameter.annotation or "", parameter.home, node_id, 0)
        return [item for item in found if not (parameter.converts and self._is_convertible(item.node_id))]

    def _is_convertible(self, node_id: NodeId) -> bool:
        """Returns True for a text that holds a number, or a word for a truth value, and for a mapping."""
        node = self.graph[node_id]
        if isinstance(node, DictNode):
            return True
        if not isinstance(node, Literal) or not isinstance(node.value, str):
            return False
        return node.value.lower() in _TRUTHS or re.fullmatch(r"[-+]?[\d_.]+(e[-+]?\d+)?", node.value, re.I) is not None

    def _written(self, annotation: str, home: str, node_id: NodeId, depth: int) -> list[Misfit]:
        node = _parsed(annotation, depth)
        return [] if node is None else _Walk(self, home, depth).inside(node, node_id)

    def alias(self, meaning: Meaning, node_id: NodeId, depth: int) -> list[Misfit]:
        """Returns the misfits of a value with the annotation behind an alias."""
        return self._written(meaning.annotation, meaning.home, node_id, depth)

    def of_fields(self, meaning: Meaning, node_id: NodeId) -> list[Misfit]:
        """The keys and values of a mapping that a TypedDict has no room for."""
        node = self.graph[node_id]
        if not isinstance(node, DictNode):
            kind = kind_of(node)
            return [] if kind is None else [Misfit(node_id, kind)]
        fields = {item.name: item for item in meaning.fields}
        for entry in node.entries:
            if entry.key not in fields:
                return [Misfit(node_id, f"a mapping with the key `{entry.key}`", did_you_mean(str(entry.key), fields))]
        missing = [name for name, item in fields.items() if item.default is None]
        missing = [name for name in missing if name not in {entry.key for entry in node.entries}]
        if missing:
            return [Misfit(node_id, f"a mapping without the key `{missing[0]}`")]
        found = (self.misfits(fields[str(entry.key)], entry.value) for entry in node.entries)
        return [misfit for misfits in found for misfit in misfits]


class _Walk(Struct, frozen=True):
    """One annotation, in the file where it is written."""

    fitting: Fitting
    home: str
    depth: int

    def inside(self, annotation: ast.expr, node_id: NodeId) -> list[Misfit]:
        node_id = self._shown(node_id)
        node = self.fitting.graph[node_id]
        if isinstance(node, Var | Deferred):
            return []
        if plain_types(ast.unparse(annotation)):
            return self._plain(annotation, node, node_id)
        match annotation:
            case ast.Constant(value=str(quoted)):
                return self.fitting._written(quoted, self.home, node_id, self.depth + 1)
            case ast.Constant(value=None):
                return self._excluded(node_id, kind_of(node))
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._any_of([left, right], node_id)
            case ast.Subscript(value=owner, slice=inner):
                return self._subscript(_last(owner), inner, node_id)
            case ast.Name() | ast.Attribute():
                return self._name(annotation, node_id)
            case _:
                return []

    def _shown(self, node_id: NodeId) -> NodeId:
        """A list or a mapping behind `!list`, `!tuple` and `!dict`; the value of a variable's default."""
        node = self.fitting.graph[node_id]
        if isinstance(node, Var) and node.default is not None:
            return self._shown(node.default)
        is_display = isinstance(node, Call) and node.callee.kind is SymbolKind.BUILTIN
        if is_display and isinstance(node, Call) and display_type(node) and len(node.positional) == 1:
            return node.positional[0]
        return node_id

    def _plain(self, annotation: ast.expr, node: Node, node_id: NodeId) -> list[Misfit]:
        text = ast.unparse(annotation)
        if isinstance(node, Call):
            problem = type_excluded_by(text, self.fitting.types.get(node_id, ()))
        else:
            problem = excluded_by(text, node)
        return [] if problem is None else [Misfit(node_id, problem)]

    def _excluded(self, node_id: NodeId, problem: str | None, help: str | None = None) -> list[Misfit]:
        return [] if problem is None else [Misfit(node_id, problem, help)]

    def _subscript(self, name: str, inner: ast.expr, node_id: NodeId) -> list[Misfit]:
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        match name:
            case "Optional":
                return self._any_of([inner, ast.Constant(None)], node_id)
            case "Union":
                return self._any_of(parts, node_id)
            case "Literal":
                return self._one_of(parts, node_id)
            case "Callable":
                return self._not_called(node_id)
            case _ if name in _WRAPPERS:
                return self.inside(parts[0], node_id)
            case _:
                return self._container(name, inner, node_id)

    def _any_of(self, parts: Sequence[ast.expr], node_id: NodeId) -> list[Misfit]:
        flat = [item for part in parts for item in _alternatives(part)]
        if (misfits := self._of_text_or_member(flat, node_id)) is not None:
            return misfits
        is_none = isinstance(node := self.fitting.graph[node_id], Literal) and node.value is None
        if is_none and any(isinstance(item, ast.Constant) and item.value is None for item in flat):
            return []
        found: list[list[Misfit]] = []
        for part in sorted(flat, key=_cost):
            misfits = self.inside(part, node_id)
            is_null = isinstance(part, ast.Constant) and part.value is None
            if not misfits and not (is_null and not is_none):
                return []
            found += [] if is_null else [misfits]
        deeper = [items for items in found if any(item.node_id != self._shown(node_id) for item in items)]
        helped = [items for items in found if any(item.help for item in items)]
        best = deeper if len(deeper) == 1 else helped or found
        return best[0] if best else []

    def _of_text_or_member(self, parts: Sequence[ast.expr], node_id: NodeId) -> list[Misfit] | None:
        """`SchedulerType | str`, where the enumeration's members are texts: a text is the value of one.

        None for other annotations, and for other values.
        """
        node, names = self.fitting.graph[self._shown(node_id)], self.fitting.names
        others = [part for part in parts if not plain_types(ast.unparse(part))]
        is_text = isinstance(node, Literal) and isinstance(node.value, str)
        is_one = len(others) == 1 and isinstance(others[0], ast.Name | ast.Attribute)
        if not is_text or not is_one or names is None or not self.home:
            return None
        meaning = names.meaning(self.home, ast.unparse(others[0]))
        is_of_texts = meaning.type is not None and "builtins.str" in meaning.type.bases
        return self._member(meaning, node, self._shown(node_id)) if meaning.is_whole and is_of_texts else None

    def _one_of(self, parts: Sequence[ast.expr], node_id: NodeId) -> list[Misfit]:
        """`Literal["a", "b"]`."""
        if not all(isinstance(part, ast.Constant) for part in parts):
            return []
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        node = self.fitting.graph[node_id]
        match node:
            case ListNode() | DictNode():
                return [Misfit(node_id, kind_of(node) or "a mapping", _listed(values))]
            case Literal(value=bool() | None):
                return []
            case Literal(value=value):
                return [] if value in values else [Misfit(node_id, f"`{value}`", _nearest(value, values))]
            case _:
                return []

    def _not_called(self, node_id: NodeId) -> list[Misfit]:
        """`Callable[...]` given what cannot be called."""
        node = self.fitting.graph[node_id]
        return [] if isinstance(node, Call) else self._excluded(node_id, kind_of(node))

    def _name(self, annotation: ast.Name | ast.Attribute, node_id: NodeId) -> list[Misfit]:
        name = _last(annotation)
        if name == "Callable":
            return self._not_called(node_id)
        if name in _SEQUENCES or name in _MAPPINGS:
            return self._container(name, None, node_id)
        if self.fitting.names is None or not self.home:
            return []
        return self._meant(self.fitting.names.meaning(self.home, ast.unparse(annotation)), node_id)

    def _meant(self, meaning: Meaning, node_id: NodeId) -> list[Misfit]:
        node = self.fitting.graph[node_id]
        match meaning.kind:
            case MeaningKind.ALIAS:
                return self.fitting.alias(meaning, node_id, self.depth + 1)
            case MeaningKind.FIELDS:
                return self.fitting.of_fields(meaning, node_id)
            case MeaningKind.UNKNOWN:
                return []
            case _ if isinstance(node, Call):
                return self._excluded(node_id, self._object(meaning, node, node_id))
            case MeaningKind.ENUMERATION:
                return self._member(meaning, node, node_id)
            case _:
                help = _how_to_make(meaning) if isinstance(node, DictNode) else None
                return self._excluded(node_id, class_excludes(meaning, node, kind_of(node)), help)

    def _object(self, meaning: Meaning, call: Call, node_id: NodeId) -> str | None:
        types = self.fitting.types.get(node_id, ())
        return None if call.kind is CallKind.PARTIAL else object_excluded_by(meaning, types)

    def _member(self, meaning: Meaning, node: Node, node_id: NodeId) -> list[Misfit]:
        """A value for an enumeration: libraries take the values and names of its members too."""
        if not isinstance(node, Literal):
            return self._excluded(node_id, kind_of(node) or "a mapping")
        is_known = not meaning.is_whole or node.value is None or isinstance(node.value, bool)
        folded = {str(value).lower() for value in meaning.values}
        if is_known or str(node.value).lower() in folded:
            return []
        return [Misfit(node_id, f"`{node.value}`", _nearest(node.value, meaning.values))]

    def _container(self, name: str, inner: ast.expr | None, node_id: NodeId) -> list[Misfit]:
        node = self.fitting.graph[node_id]
        kind = kind_of(node)
        if name in _MAPPINGS and kind is not None and not isinstance(node, DictNode):
            return [Misfit(node_id, kind)]
        is_other = kind == "a number" or (name in _CONCRETE and kind in ("a text", "a mapping"))
        if name in _SEQUENCES and is_other:
            return self._excluded(node_id, kind)
        length = _length(inner) if name in ("tuple", "Tuple") else None
        if length is not None and isinstance(node, ListNode) and len(node.items) != length:
            return [Misfit(node_id, f"a list of {len(node.items)}, not {length}")]
        pairs = [] if inner is None else self._pairs(name, inner, node)
        return [misfit for annotation, item in pairs for misfit in self.inside(annotation, item)]

    def _pairs(self, name: str, inner: ast.expr, node: Node) -> Iterator[tuple[ast.expr, NodeId]]:
        match node, inner:
            case DictNode(entries=entries), ast.Tuple(elts=[_, value]) if name in _MAPPINGS:
                yield from ((value, entry.value) for entry in entries)
            case ListNode(items=items), ast.Tuple(elts=[item, ast.Constant(value=last)]) if last is ...:
                yield from ((item, child) for child in items)
            case ListNode(items=items), ast.Tuple(elts=parts) if name in ("tuple", "Tuple"):
                yield from zip(parts, items, strict=False)
            case ListNode(items=items), _ if name in _SEQUENCES:
                yield from ((inner, child) for child in items)
            case _:
                pass


def possible_values(annotation: str, home: str, names: NameMeanings, depth: int = 0) -> Iterator[object]:
    """Yields the values that an annotation lists: literals, members of enumerations, truth values and None.

    `home` is the module in which it is written; without one, its names mean nothing.
    """
    node = _parsed(annotation, depth)
    if node is not None:
        yield from _possible(node, home, names, depth)


def _possible(node: ast.expr, home: str, names: NameMeanings, depth: int) -> Iterator[object]:
    match node:
        case ast.Constant(value=None):
            yield None
        case ast.Constant(value=str(quoted)):
            yield from possible_values(quoted, home, names, depth + 1)
        case ast.Name(id="bool"):
            yield from (True, False)
        case ast.BinOp(op=ast.BitOr()):
            for part in _alternatives(node):
                yield from _possible(part, home, names, depth)
        case ast.Subscript(value=owner, slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if _last(owner) == "Literal":
                yield from (ast.literal_eval(part) for part in parts if isinstance(part, ast.Constant | ast.UnaryOp))
                return
            is_union = _last(owner) == "Union"
            for part in parts if is_union else parts[:1] if _last(owner) in _WRAPPERS else ():
                yield from _possible(part, home, names, depth)
            yield from (None,) if _last(owner) == "Optional" else ()
        case ast.Name() | ast.Attribute() if home:
            meaning = names.meaning(home, ast.unparse(node))
            if meaning.kind is MeaningKind.ENUMERATION:
                yield from meaning.values
            elif meaning.kind is MeaningKind.ALIAS:
                yield from possible_values(meaning.annotation, meaning.home, names, depth + 1)


def _parsed(annotation: str, depth: int) -> ast.expr | None:
    """Returns an annotation's tree; None for what is no expression, and for an alias too far from where it began."""
    try:
        return ast.parse(annotation, mode="eval").body if depth <= _MAX_DEPTH else None
    except (SyntaxError, ValueError, RecursionError):
        return None


def _how_to_make(meaning: Meaning) -> str | None:
    """Returns what to write before a mapping of which an object is to be made."""
    name = "" if meaning.type is None else meaning.type.name
    return f"write `!call:` and what makes {article(name)} `{name}` before it" if name else None


def kind_of(node: Node) -> str | None:
    """Returns the kind of a value if it is certain; truth values and None are left to the library."""
    match node:
        case ListNode():
            return "a list"
        case DictNode():
            return "a mapping"
        case Literal(value=str()):
            return "a text"
        case Literal(value=bool()):
            return None
        case Literal(value=int() | float()):
            return "a number"
        case _:
            return None


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _alternatives(left)
            yield from _alternatives(right)
        case _:
            yield node


def _cost(node: ast.expr) -> int:
    """Names that must be looked up come last."""
    return 0 if plain_types(ast.unparse(node)) else 1 if isinstance(node, ast.Subscript | ast.Constant) else 2


def _length(inner: ast.expr | None) -> int | None:
    """Returns the number of items of `tuple[...]`; None if any number."""
    items = inner.elts if isinstance(inner, ast.Tuple) else [] if inner is None else [inner]
    is_any = any(
        isinstance(item, ast.Starred) or (isinstance(item, ast.Constant) and item.value is ...) for item in items
    )
    return None if is_any or not items else len(items)


def _nearest(value: object, values: Sequence[object]) -> str | None:
    texts = [item for item in values if isinstance(item, str)]
    return (did_you_mean(value, texts) if isinstance(value, str) else None) or _listed(values)


def _listed(values: Sequence[object]) -> str | None:
    """The values that are possible, if they are not too many to read."""
    shown = ", ".join(f"`{value}`" for value in dict.fromkeys(values) if value is not None)
    return f"one of {shown}" if shown and len(shown) < 160 else None


def _last(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))

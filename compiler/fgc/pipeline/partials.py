"""Partials whose later call is known, because the configuration makes it or an annotation tells how it is made.

Whatever a partial lacks, some later call can give: positional-only parameters come first, and all others have names.
So a missing argument is certain only where that call is known: `call` of a partial in the graph itself, and a partial
handed to a parameter that is `Callable[[A, B], R]`, which is called with two arguments by position and no other.
"""

import ast
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.ir import Call, CallKind, Graph, NodeId, Symbol, SymbolKind
from fgc.signatures import Parameter, Signature
from fgc.text import Origin

LookUp = Callable[[Symbol], Sequence[Signature]]


class PartialCheck(Struct, frozen=True):
    """A call that calls a partial, or is given some; `look_up` knows the signatures of callees."""

    graph: Graph
    call: Call
    look_up: LookUp

    def findings(self, signatures: Sequence[Signature]) -> Iterator[Diagnostic]:
        """Yields what the later calls would be refused for; `signatures` are those of the call's own callee."""
        symbol = self.call.callee
        if symbol.kind is SymbolKind.BUILTIN and symbol.attribute == "call" and self.call.positional:
            yield from self._called()
        elif len(signatures) == 1:
            yield from self._handed(signatures[0])

    def _called(self) -> Iterator[Diagnostic]:
        partial = self._partial(self.call.positional[0])
        if partial is None or self.call.kind is not CallKind.SINGLETON or self.call.latent is not None:
            return
        keywords = [keyword.name for keyword in self.call.keywords]
        problem = self._refused(partial, len(self.call.positional) - 1, keywords)
        if problem is not None:
            code, text = problem
            related = (Related(partial.origin.span, "the partial"),)
            yield Diagnostic.at(self.call.callee.attribute_origin, code, f"this call {text}", related=related)

    def _handed(self, signature: Signature) -> Iterator[Diagnostic]:
        for parameter, value, origin in self._given(signature):
            partial, count = self._partial(value), _arguments(parameter.annotation)
            problem = None if partial is None or count is None else self._refused(partial, count, ())
            if problem is not None:
                code, text = problem
                message = f"`{parameter.name}` is `{parameter.annotation}`: its call {text}"
                yield Diagnostic.at(origin, code, message, severity=Severity.WARNING)

    def _given(self, signature: Signature) -> Iterator[tuple[Parameter, NodeId, Origin]]:
        for slot, value in zip(signature.positional, self.call.positional, strict=False):
            yield slot, value, self.graph[value].origin
        for keyword in self.call.keywords:
            parameter = signature.parameter(keyword.name)
            if parameter is not None:
                yield parameter, keyword.value, keyword.origin

    def _partial(self, node_id: NodeId) -> Call | None:
        node = self.graph[node_id]
        is_known = not self.graph.is_partial and node_id not in self.graph.broken
        is_partial = is_known and isinstance(node, Call) and node.kind is CallKind.PARTIAL and node.latent is None
        return node if is_partial and isinstance(node, Call) else None

    def _refused(self, partial: Call, count: int, keywords: Sequence[str]) -> tuple[str, str] | None:
        """Returns why Python refuses the later call with so many positional arguments and these keywords."""
        if partial.callee.kind is SymbolKind.COMPONENT:
            return None
        own = {keyword.name for keyword in partial.keywords}
        signatures = self.look_up(partial.callee)
        if not any(item.takes_any_keyword or own.issubset(item.keyword_names) for item in signatures):
            return None  # an odd name is told where it is written, and may be the one that is missing
        given, names = len(partial.positional) + count, own.union(keywords)
        problems = [_problem(item, partial.callee.attribute, given, names) for item in signatures]
        return problems[0] if problems and all(problems) else None


def _problem(signature: Signature, shown: str, count: int, names: set[str]) -> tuple[str, str] | None:
    if signature.is_open:
        return None
    slots = signature.positional
    if count > len(slots) and not signature.takes_any_positional:
        return "FGC506", f"gives `{shown}` {count} arguments by position, which takes {len(slots)}"
    filled = {slot.name for slot in slots[:count]}
    twice = [name for name in names if name in filled and signature.parameter(name) is not None]
    if twice:
        return "FGC507", f"gives `{twice[0]}` of `{shown}` by position, and the partial gives it by name"
    missing = [f"`{item.name}`" for item in signature.required if item.name not in filled | names]
    plural = "s" if len(missing) > 1 else ""
    return ("FGC503", f"leaves `{shown}` without the argument{plural} {', '.join(missing)}") if missing else None


def _arguments(annotation: str | None) -> int | None:
    """Returns how many arguments `Callable[[A, B], R]` is called with, if an annotation is that, or that or None."""
    try:
        node = ast.parse(annotation or "", mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
    return _count(node)


def _count(node: ast.expr) -> int | None:
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _count(left)
        case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=inner):
            return _count(inner)
        case ast.Subscript(value=owner, slice=ast.Tuple(elts=[ast.List(elts=items), _])):
            return len(items) if getattr(owner, "attr", getattr(owner, "id", "")) == "Callable" else None
        case _:
            return None

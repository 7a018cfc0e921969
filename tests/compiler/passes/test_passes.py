"""Passes keep what a graph constructs, and say it more plainly."""

from fgc.ir import Call, CallKind, Deferred, Graph, GraphBuilder, Keyword, Literal, NodeId, Symbol, SymbolKind
from fgc.passes import run
from fgc.text import DeferredName, Origin, Source, Span

HERE = Origin(Span(Source("a.yaml", "x"), 0, 1))
CALL = Symbol("call", SymbolKind.BUILTIN, "", "call", HERE)
LOAD = Symbol("data:load", SymbolKind.MODULE, "data", "load", HERE)


def add(builder: GraphBuilder, symbol: Symbol, kind: CallKind, *nodes: NodeId, **keywords: NodeId) -> NodeId:
    named = tuple(Keyword(name, node, HERE) for name, node in keywords.items())
    return builder.add(Call(symbol, kind, nodes, named, HERE))


def main_of(graph: Graph) -> Call:
    node = run(graph)[graph.targets["main"]]
    assert isinstance(node, Call)
    return node


def test_what_no_target_needs_is_dropped() -> None:
    builder = GraphBuilder()
    builder.add(Literal("unused", HERE))
    main = builder.add(Literal(1, HERE))
    assert list(run(builder.finish({"main": main})).nodes) == [main]


def test_a_partial_called_where_it_stands_becomes_one_call() -> None:
    builder = GraphBuilder()
    one, two = (builder.add(Literal(value, HERE)) for value in (1, 2))
    partial = add(builder, LOAD, CallKind.PARTIAL, one, size=one)
    main = add(builder, CALL, CallKind.SINGLETON, partial, two, split=two)
    folded = main_of(builder.finish({"main": main}))
    assert (folded.callee, folded.kind, folded.positional) == (LOAD, CallKind.SINGLETON, (one, two))
    assert [keyword.name for keyword in folded.keywords] == ["size", "split"]


def test_a_partial_that_is_mentioned_again_stays() -> None:
    builder = GraphBuilder()
    partial = add(builder, LOAD, CallKind.PARTIAL)
    main = add(builder, CALL, CallKind.SINGLETON, partial)
    assert main_of(builder.finish({"main": main, "load": partial})).callee == CALL


def test_a_keyword_that_the_call_overrides_keeps_the_two_apart() -> None:
    builder = GraphBuilder()
    one = builder.add(Literal(1, HERE))
    partial = add(builder, LOAD, CallKind.PARTIAL, size=one)
    main = add(builder, CALL, CallKind.SINGLETON, partial, size=one)
    assert main_of(builder.finish({"main": main})).callee == CALL


def test_a_factory_in_the_partial_keeps_the_two_apart() -> None:
    builder = GraphBuilder()
    partial = add(builder, LOAD, CallKind.PARTIAL, add(builder, LOAD, CallKind.FACTORY))
    main = add(builder, CALL, CallKind.SINGLETON, partial)
    assert main_of(builder.finish({"main": main})).callee == CALL


def test_a_text_without_deferred_parts_is_a_literal() -> None:
    builder = GraphBuilder()
    known = builder.add(Deferred("ab", ("a", "b"), HERE))
    open_text = builder.add(Deferred("ax", ("a", DeferredName("hostname")), HERE))
    graph = run(builder.finish({"known": known, "open": open_text}))
    assert graph[known] == Literal("ab", HERE)
    assert isinstance(graph[open_text], Deferred)

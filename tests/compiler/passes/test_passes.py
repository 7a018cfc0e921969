"""Passes keep what a graph constructs, and say it more plainly."""

import pytest
from fgc.ir import (
    Call,
    CallKind,
    Deferred,
    DictNode,
    Entry,
    Graph,
    GraphBuilder,
    Keyword,
    ListNode,
    Literal,
    NodeId,
    Symbol,
    SymbolKind,
    Var,
    steps,
)
from fgc.passes import infer, run, verify_types
from fgc.signatures import Answer, TypeName, Verdict, native_type
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


def test_only_the_items_of_a_list_that_is_called_rightly_count_as_its_own() -> None:
    builder = GraphBuilder()
    number = builder.add(Literal(1, HERE))
    name = Symbol("named_list", SymbolKind.BUILTIN, "", "named_list", HERE)
    alone = add(builder, name, CallKind.SINGLETON, number)
    crowded = add(builder, name, CallKind.SINGLETON, number, number)
    graph = builder.finish({"main": alone, "other": crowded})
    assert [step for step, _, _ in steps(graph, alone)] == [""]
    assert [step for step, _, _ in steps(graph, crowded)] == ["[0]", "[1]"]


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


def test_mentions_of_a_variable_are_one_node_if_its_value_is_the_same_for_all() -> None:
    builder = GraphBuilder()
    one = [builder.add(Literal(1, HERE)) for _ in range(3)]
    same = [builder.add(Var("x", None, HERE)), builder.add(Var("x", None, HERE))]
    defaults = [builder.add(Var("y", one[0], HERE)), builder.add(Var("y", one[1], HERE))]
    made = [add(builder, LOAD, CallKind.FACTORY)] * 2
    apart = [builder.add(Var("z", node, HERE)) for node in made]
    main = builder.add(ListNode((*same, *defaults, *apart), HERE))
    node = run(builder.finish({"main": main}))[main]
    assert isinstance(node, ListNode)
    assert node.items == (same[0], same[0], defaults[0], defaults[0], *apart)


def test_variables_whose_defaults_are_of_other_types_stay_apart() -> None:
    builder = GraphBuilder()
    nodes = [builder.add(Var("x", builder.add(Literal(value, HERE)), HERE)) for value in (1, 1.0, True, 0.0, -0.0)]
    main = builder.add(ListNode(tuple(nodes), HERE))
    node = run(builder.finish({"main": main}))[main]
    assert isinstance(node, ListNode) and node.items == tuple(nodes)


class _Known:
    """Says what two callables give."""

    def look_up(self, symbol: Symbol) -> Answer:
        return Answer(Verdict.CALLABLE, result=(native_type(list),) if symbol == LOAD else ())

    def attribute(self, owner: TypeName, name: str) -> Answer:
        return Answer(Verdict.UNKNOWN, result=(native_type(int),) if (owner.name, name) == ("list", "n") else ())


def inferred(builder: GraphBuilder, node: NodeId) -> list[str]:
    graph = builder.finish({"main": node})
    types = infer(graph, _Known())
    verify_types(graph, types)
    return [item.name for item in types.get(node, ())]


def test_types_are_those_of_literals_results_and_what_is_looked_up_in_them() -> None:
    builder = GraphBuilder()
    text = builder.add(Literal("n", HERE))
    loaded = add(builder, LOAD, CallKind.SINGLETON)
    table = builder.add(DictNode((Entry("n", loaded, HERE),), HERE))
    partial = add(builder, LOAD, CallKind.PARTIAL, text)
    bare = add(builder, LOAD, CallKind.PARTIAL)
    other = Symbol("data:other", SymbolKind.MODULE, "data", "other", HERE)
    helper = {name: Symbol(name, SymbolKind.BUILTIN, "", name, HERE) for name in ("getattr", "getitem", "items")}
    assert inferred(builder, builder.add(Literal(1.5, HERE))) == ["float"]
    assert inferred(builder, loaded) == ["list"]
    assert inferred(builder, add(builder, other, CallKind.SINGLETON)) == []
    assert inferred(builder, partial) == ["partial"] and inferred(builder, bare) == []
    assert inferred(builder, add(builder, CALL, CallKind.SINGLETON, partial)) == ["list"]
    assert inferred(builder, add(builder, helper["getattr"], CallKind.SINGLETON, loaded, text)) == ["int"]
    assert inferred(builder, add(builder, helper["getitem"], CallKind.SINGLETON, table, text)) == ["list"]
    assert inferred(builder, add(builder, helper["items"], CallKind.SINGLETON, table)) == []
    assert inferred(builder, builder.add(Var("x", loaded, HERE))) == []


def test_a_type_beside_a_literal_of_another_type_is_found() -> None:
    builder = GraphBuilder()
    one = builder.add(Literal(1, HERE))
    graph = builder.finish({"main": one})
    with pytest.raises(AssertionError, match="is no str"):
        verify_types(graph, {one: (native_type(str),)})
    with pytest.raises(AssertionError, match="does not exist"):
        verify_types(graph, {NodeId(9): (native_type(str),)})


def called_twice(builder: GraphBuilder, partial: NodeId) -> list[Call]:
    """Two calls of one partial, after folding."""
    calls = [add(builder, CALL, CallKind.SINGLETON, partial, split=builder.add(Literal(name, HERE))) for name in "ab"]
    graph = run(builder.finish({"first": calls[0], "second": calls[1]}))
    found = [graph[node] for node in graph.targets.values()]
    assert all(isinstance(node, Call) for node in found)
    return found  # type: ignore[return-value]  # they are


def test_several_calls_repeat_a_constant_or_two() -> None:
    builder = GraphBuilder()
    first, second = called_twice(builder, add(builder, LOAD, CallKind.PARTIAL, size=builder.add(Literal(1, HERE))))
    assert (first.callee, second.callee) == (LOAD, LOAD)
    assert [[keyword.name for keyword in call.keywords] for call in (first, second)] == [["size", "split"]] * 2


def test_several_calls_share_what_is_made_once_and_what_is_long_to_repeat() -> None:
    builder = GraphBuilder()
    made = add(builder, LOAD, CallKind.PARTIAL, size=add(builder, LOAD, CallKind.SINGLETON))
    assert {call.callee for call in called_twice(builder, made)} == {CALL}
    builder = GraphBuilder()
    three = {name: builder.add(Literal(1, HERE)) for name in ("size", "name", "path")}
    assert {call.callee for call in called_twice(builder, add(builder, LOAD, CallKind.PARTIAL, **three))} == {CALL}

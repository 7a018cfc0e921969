"""An executed program builds what the interpreter builds: values, sharing, order."""

import os
import sys
import threading
from typing import Any

import pytest
from fgc.ir import Call, CallKind, Graph, GraphBuilder, Keyword, ListNode, Literal, NodeId, Var
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compiler.emit.graphs import HERE, deep_graph, graphs, symbol
from tests.compiler.emit.recording import install
from tests.compiler.emit.running import emitted, expected, outcome, run_program

SYMBOLS = install()
_EXAMPLES = int(os.environ.get("FGC_FUZZ_EXAMPLES", "250"))  # given a number, other examples every time


@settings(
    max_examples=_EXAMPLES,
    derandomize="FGC_FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    graph=graphs(SYMBOLS), given_names=st.sets(st.sampled_from(["model", "lambda", "class", "list", "print", "a-b"]))
)
def test_a_program_builds_what_the_interpreter_builds(graph: Graph, given_names: set[str]) -> None:
    required = {node.name for node in graph.nodes.values() if isinstance(node, Var) and node.default is None}
    variables = {name: f"given {name}" for name in given_names | required}
    for targets in (["main"], list(graph.targets)):
        program = emitted(graph, targets)
        assert outcome(lambda program=program: run_program(program, variables)) == expected(
            graph, targets, variables
        ), program.text


@pytest.mark.parametrize(
    "kinds", [["list"], ["dict"], ["singleton"], ["factory"], ["partial"], ["list", "factory", "dict", "partial"]]
)
def test_nesting_has_no_limit(kinds: list[str]) -> None:
    graph = deep_graph(1500, kinds)
    program = emitted(graph, ["main"])
    result: list[Any] = []

    def compare() -> None:
        sys.setrecursionlimit(100_000)
        result.append(outcome(lambda: run_program(program, {})) == expected(graph, ["main"], {}))

    limit, size = sys.getrecursionlimit(), threading.stack_size(512 * 1024 * 1024)
    thread = threading.Thread(target=compare)
    thread.start()
    thread.join()
    threading.stack_size(size)
    sys.setrecursionlimit(limit)
    assert result == [True]


def calls(builder: GraphBuilder, kind: CallKind, name: str, *given: NodeId, **named: NodeId) -> NodeId:
    keywords = tuple(Keyword(key, value, HERE) for key, value in named.items())
    return builder.add(Call(symbol(f"fgc_recorded.alpha:{name}"), kind, given, keywords, HERE))


def is_built_as_meant(graph: Graph) -> bool:
    program = emitted(graph, list(graph.targets))
    return bool(outcome(lambda: run_program(program, {})) == expected(graph, list(graph.targets), {}))


def test_a_later_call_may_give_the_keyword_that_a_bound_argument_is_called() -> None:
    builder = GraphBuilder()
    late = calls(builder, CallKind.PARTIAL, "Model", calls(builder, CallKind.FACTORY, "Model"))
    one = builder.add(Literal(1, HERE))
    model = calls(builder, CallKind.PARTIAL, "Model", late, one)
    builder.hints[model] = "model"
    shown = calls(builder, CallKind.FACTORY, "AdamW", func=model, other=calls(builder, CallKind.FACTORY, "Model"))
    builder.hints[shown] = "adamw"
    builder.named.add(shown)
    main = calls(builder, CallKind.PARTIAL, "Model", shown, main=model)
    assert is_built_as_meant(builder.finish({"list": main, "main": main}))


def test_a_function_that_another_one_mentions_is_bound_to_it() -> None:
    builder = GraphBuilder()
    made = calls(builder, CallKind.FACTORY, "Model")
    inner = calls(builder, CallKind.PARTIAL, "print", args=made)
    builder.hints[inner] = "inner"
    shown = builder.add(ListNode((builder.add(Literal(1, HERE)), made), HERE))
    builder.hints[shown] = "shown"
    builder.named.add(shown)
    outer = calls(builder, CallKind.PARTIAL, "Model", shown, inner=inner)
    both = calls(builder, CallKind.FACTORY, "Model", outer=outer)
    assert is_built_as_meant(builder.finish({"main": both, "again": both}))

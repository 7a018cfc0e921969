"""An executed program builds what the interpreter builds: values, sharing, order."""

import os
import sys
import threading
from typing import Any

import pytest
from fgc.ir import Graph, Var
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compiler.emit.graphs import deep_graph, graphs
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

"""Random graphs with options: a program that is given values and `--set`, against the interpreter of the changed graph.

    python -m tests.benchmarks.fuzz_options 4000 --seed 1

Some literals of each graph become options, or are computed from one. The program gets other values for some of them on
its command line, and for some other values of the graph by their paths.
"""

import argparse
import ast
import operator
import random
import sys
import tempfile
import traceback
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fgc.emit import EmitOptions, Program, emit_script
from fgc.ir import Graph, Literal, NodeId, Option, Var, reachable, steps
from fgc.text import DeferredArgument, DeferredConstant, DeferredOperation
from fgc.workspace.place_map import MAP, map_text
from fgc_runtime.settings import text_with
from msgspec.structs import replace

from tests.benchmarks.fuzz_programs import _NAMES, _SIZES
from tests.compiler.emit.graphs import MAX_OBJECTS, drawn_graph, num_objects
from tests.compiler.emit.recording import install
from tests.compiler.emit.running import expected, outcome

_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_GIVEN = {int: ["0", "-7", "123456"], float: ["0.5", "1e-05", "-3"], str: ["", "a b", 'it\'s "q"', "ü\n"]}
_SET = {**_GIVEN, bool: ["true", "false"], type(None): ["none", "5", "word"]}
_READ: dict[type, Any] = {int: int, float: float, str: str, bool: lambda text: text == "true"}
_LARGEST = 10**9


def main() -> int:
    """Run as many graphs as asked for; 1 if any differs or falls over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=4_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, symbols, counts = random.Random(arguments.seed), install(), Counter[str]()
    sys.setrecursionlimit(20_000)
    with tempfile.TemporaryDirectory() as name:
        while counts["graphs"] < arguments.count:
            graph = drawn_graph(lambda most: rng.randint(0, most), symbols, rng.choice(_SIZES))
            if num_objects(graph) < MAX_OBJECTS:
                counts["graphs"] += 1
                counts["different"] += _is_different(graph, rng, Path(name), counts)
                if counts["graphs"] % 500 == 0:
                    print(dict(counts), flush=True)
    print(f"seed {arguments.seed}: {dict(counts)}")
    return int(counts["different"] > 0)


def _is_different(graph: Graph, rng: random.Random, folder: Path, counts: Counter[str]) -> bool:
    graph, declared = _with_options(graph, rng)
    made = emit_script(graph, "main", options=EmitOptions(layout=None, declared=declared))
    assert made.value is not None, made.diagnostics
    program = made.value
    offered = {name: default for name, (_, default) in program.options.offered.items() if rng.random() < 0.8}
    given = {name: rng.choice(_GIVEN[type(default)]) for name, default in offered.items()}
    paths = [path for path in program.settable.values if rng.random() < 0.3][:3]
    nodes = {path: node for path, node in _nodes_at(graph, paths).items() if isinstance(graph[node], Literal)}
    settings = {path: rng.choice(_SET[type(graph[node].value)]) for path, node in nodes.items()}  # type: ignore[union-attr]
    counts["options declared"] += len(declared)
    counts["options given"] += len(given)
    counts["values set"] += len(settings)
    values = {name: _READ[type(offered[name])](text) for name, text in given.items()}
    changed = {node: _set_value(graph[node].value, settings[path]) for path, node in nodes.items()}  # type: ignore[union-attr]
    wanted = _changed(graph, values, changed)
    variables = {node.name for node in graph.nodes.values() if isinstance(node, Var)}
    required = {node.name for node in graph.nodes.values() if isinstance(node, Var) and node.default is None}
    known = {
        name: f"given {name}"
        for name in sorted(required | {n for n in _NAMES if n in variables and rng.random() < 0.3})
    }
    try:
        found = outcome(lambda: _run(program, folder, given, settings, known))
        if found == expected(wanted, ["main"], known):
            return False
        print(f"DIFFERENT with {given}, {settings}, {known}:\n{program.text}", flush=True)
    except Exception:
        print(f"FELL OVER with {given}, {settings}:\n{program.text}", flush=True)
        traceback.print_exc()
    return True


def _with_options(graph: Graph, rng: random.Random) -> tuple[Graph, list[Option]]:
    """The graph with up to three options, each the value of some literals, or part of a computation."""
    literals = {node_id: node for node_id, node in graph.nodes.items() if isinstance(node, Literal)}
    nodes, declared = dict(graph.nodes), []
    for number in range(rng.randint(1, 3)):
        kind = rng.choice([int, float, str])
        fitting = [key for key, node in literals.items() if type(node.value) is kind and _is_plain(node.value)]
        if not fitting:
            continue
        name, default = f"o{number}", literals[rng.choice(fitting)].value
        argument = DeferredArgument(name, default, True)
        for key in fitting:
            if repr(literals[key].value) == repr(default) and rng.random() < 0.7:
                nodes[key] = replace(literals.pop(key), argument=argument)
            elif kind is not str and rng.random() < 0.3:
                sign, other = rng.choice(list(_OPERATORS)), rng.choice([2, 10])
                value = _OPERATORS[sign](default, other)
                operation = DeferredOperation(sign, (argument, DeferredConstant(other)), value)
                nodes[key] = replace(literals.pop(key), value=value, argument=operation)
        declared.append(Option(name, (f"--{name}",), kind.__name__))
    return replace(graph, nodes=nodes), declared


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) or (value == value and abs(value) < _LARGEST)


def _changed(graph: Graph, values: Mapping[str, Any], changed: Mapping[NodeId, Any]) -> Graph:
    """The graph as it would be built with other values."""
    nodes = dict(graph.nodes)
    for key, node in graph.nodes.items():
        if key in changed:
            nodes[key] = replace(node, value=changed[key], argument=None)  # type: ignore[call-arg]
        elif isinstance(node, Literal) and node.argument is not None:
            nodes[key] = replace(node, value=_computed(node.argument, values), argument=None)
    return replace(graph, nodes=nodes)


def _computed(expression: Any, values: Mapping[str, Any]) -> Any:
    match expression:
        case DeferredArgument(name=name, value=value):
            return values.get(name, value)
        case DeferredOperation(operator=sign, operands=(first, second)):
            return _OPERATORS[sign](_computed(first, values), _computed(second, values))
        case _:
            return expression.value


def _set_value(old: Any, text: str) -> Any:
    if old is None:
        return {"none": None, "5": 5}.get(text, text)
    return _READ[type(old)](text)


def _nodes_at(graph: Graph, paths: list[str]) -> dict[str, NodeId]:
    found: dict[str, NodeId] = {}
    seen: set[NodeId] = set()
    waiting = deque((node, name) for name, node in graph.targets.items())
    while waiting:
        node, path = waiting.popleft()
        if path in paths:
            found.setdefault(path, node)
        if node not in seen:
            seen.add(node)
            waiting.extend((child, path + step) for step, child, _ in steps(graph, node))
    reached = set(reachable(graph, graph.targets.values()))
    return {path: node for path, node in found.items() if node in reached}


def _run(
    program: Program, folder: Path, given: Mapping[str, str], settings: Mapping[str, str], known: Mapping[str, Any]
) -> Any:
    file = folder / "train.py"
    file.write_text(program.text, encoding="utf-8")
    (folder / MAP).write_text(map_text({}, lambda source: source.name, program.settable), encoding="utf-8")
    tree = ast.parse(text_with(file, settings))
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name == "main":
            last = function.body[-1]
            assert isinstance(last, ast.Expr)
            function.body[-1] = ast.copy_location(ast.Return(last.value), last)
    space: dict[str, Any] = {"__name__": "generated", "__doc__": ""}
    exec(compile(ast.fix_missing_locations(tree), str(file), "exec"), space)
    sys.argv = ["train.py", *(f"--{name}={text}" for name, text in given.items())]
    return space["main"](
        **{program.parameters[name]: value for name, value in known.items() if name in program.parameters}
    )


if __name__ == "__main__":
    sys.exit(main())

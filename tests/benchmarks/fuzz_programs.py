"""Random graphs as programs and in the reference interpreter: how many, how fast, and what differs.

    python -m tests.benchmarks.fuzz_programs 20000 --seed 1

Every graph is built two times, once with `main` and once with all its targets, and some of its variables are given.
The graphs are those of tests/compiler/emit/graphs.py, which the gate tries a few hundred of.
"""

import argparse
import random
import sys
import time
import traceback

from fgc.ir import Graph, Var

from tests.compiler.emit.graphs import MAX_OBJECTS, drawn_graph, num_objects
from tests.compiler.emit.recording import install
from tests.compiler.emit.running import emitted, expected, outcome, run_program

_NAMES = ("model", "lambda", "class", "list", "print", "a-b")
_SIZES = (5, 14, 14, 40)  # nodes that are drawn, at most


def main() -> int:
    """Run as many graphs as asked for; 1 if any differs or falls over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    symbols = install()
    sys.setrecursionlimit(20_000)
    num_done = num_different = num_nodes = num_lines = 0
    start = time.process_time()
    while num_done < arguments.count:
        graph = drawn_graph(lambda most: rng.randint(0, most), symbols, rng.choice(_SIZES))
        if num_objects(graph) >= MAX_OBJECTS:
            continue
        given = {name for name in _NAMES if rng.random() < 0.3}
        different, lines = _compared(graph, given)
        num_done, num_different, num_lines = num_done + 1, num_different + different, num_lines + lines
        num_nodes += len(graph.nodes)
        if num_done % 1000 == 0:
            print(f"{num_done} graphs, {num_different} different", flush=True)
    seconds = time.process_time() - start
    print(
        f"{num_done} graphs ({num_nodes / num_done:.1f} nodes, {num_lines / num_done:.1f} lines on average), seed "
        f"{arguments.seed}: {num_different} different, {seconds / num_done * 1000:.1f} ms each"
    )
    return int(num_different > 0)


def _compared(graph: Graph, given: set[str]) -> tuple[bool, int]:
    """Whether a program differs from the interpreter, and how many lines the programs have."""
    required = {node.name for node in graph.nodes.values() if isinstance(node, Var) and node.default is None}
    variables = {name: f"given {name}" for name in sorted(given | required)}
    num_lines = 0
    for targets in (["main"], list(graph.targets)):
        try:
            program = emitted(graph, targets)
            num_lines += program.text.count("\n")
            if outcome(lambda program=program: run_program(program, variables)) == expected(graph, targets, variables):
                continue
            print(f"DIFFERENT for {targets} with {variables}:\n{program.text}", flush=True)
        except Exception:
            print(f"FELL OVER for {targets} with {variables}:\n{graph}", flush=True)
            traceback.print_exc()
        return True, num_lines
    return False, num_lines


if __name__ == "__main__":
    sys.exit(main())

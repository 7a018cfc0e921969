"""Programs and the interpreter, run side by side and compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from fgc.emit import EmitOptions, Program, emit_program
from fgc.ir import Graph

from tests.compiler.emit.recording import canonical, reset
from tests.compiler.emit.reference import Interpreter

_MAX_TRIED = 4


def run_program(program: Program, variables: Mapping[str, Any]) -> Any:
    """Execute a generated module and call its function."""
    namespace: dict[str, Any] = {"__name__": "generated"}
    exec(compile(program.text, "<generated>", "exec"), namespace)
    given = {program.parameters[name]: value for name, value in variables.items() if name in program.parameters}
    return namespace[program.function](**given)


def outcome(build: Any) -> Any:
    """Everything that can be seen of a construction: its values, then what its callables return."""
    reset()
    try:
        result = build()
    except Exception as error:
        return ("error", type(error).__name__)
    name_of: dict[int, int] = {}
    callables: list[Any] = []
    seen = [canonical(result, name_of, callables)]
    tried = []
    for function in callables[:_MAX_TRIED]:
        for keywords in ({}, {"model": 1}):
            try:
                returned = function(5, **keywords)
            except Exception as error:
                seen.append([type(error).__name__])
                continue
            tried.append(returned)  # kept alive: an id must not come again
            seen.append(canonical(returned, name_of, []))
    return seen


def expected(graph: Graph, targets: Sequence[str], variables: Mapping[str, Any]) -> Any:
    """Returns what the interpreter builds."""

    def build() -> Any:
        built = Interpreter(graph, targets, variables).run()
        return next(iter(built.values())) if len(built) == 1 else built

    return outcome(build)


def emitted(graph: Graph, targets: Sequence[str], options: EmitOptions | None = None) -> Program:
    """The program of some targets, which must be free of findings."""
    made = emit_program(graph, targets, options=options or EmitOptions(layout=None))
    assert made.value is not None, made.diagnostics
    return made.value

"""The conformance cases, constructed: each case's programs are generated and run, and their values compared."""

import functools
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fgc.emit import EmitOptions, Program, emit_program
from fgc.pipeline import Compilation
from fgc.text import Source
from fgc.workspace import Session, collect_facts

CONFORMANCE = Path(__file__).parents[2] / "conformance"
CASES = CONFORMANCE / "cases"
REC = "Rec"


def rec(number: int, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The value form of a recorded object."""
    shown: dict[str, Any] = {"$obj": REC, "n": number}
    return shown | ({"args": list(args)} if args else {}) | ({"kwargs": kwargs} if kwargs else {})


def shared(number: int, value: Any) -> dict[str, Any]:
    return {"$def": number, "value": value}


def again(number: int) -> dict[str, Any]:
    return {"$ref": number}


ERROR = object()
# values where we differ from the reference on purpose (differs.tsv)
MENDED: dict[str, list[Any]] = {
    "con_none_not_cached": [{"n": None, "z": 0, "main": [None, None, 0, 0], "after": 3}],
    "con_sharing": [
        {
            "main": {
                "singles": [shared(0, rec(1, "s")), again(0)],
                "facts": [rec(2, "f"), rec(3, "f")],
                "plain": [shared(1, [1, again(0)]), again(1)],
                "dicts": [shared(2, {"k": rec(4, "f")}), again(2)],
                "lists": [shared(3, [1, rec(5, "f")]), again(3)],
            }
        }
    ],
    "con_partial_nested": [
        {
            "s": shared(0, rec(1, "s")),
            "main": [
                rec(
                    6,
                    s=again(0),
                    f=rec(3, "f"),
                    f2=rec(4, "f"),
                    list=[rec(5, "f")],
                    own=shared(1, rec(2, "own")),
                ),
                rec(10, s=again(0), f=rec(7, "f"), f2=rec(8, "f"), list=[rec(9, "f")], own=again(1)),
            ],
        }
    ],
    "tag_scalar_arg": [
        {"a": rec(1, "abc"), "b": 5, "c": rec(2, "x y"), "d": rec(3, None), "e": rec(4, None)},
    ],
    "var_default_list": [{"a": shared(0, [1, rec(1, 2)]), "b": again(0)}],
    "var_default_node": [{"a": rec(1, 1)}],
    "con_file_import_clash": [{"a": "a", "b": "b"}],
    "con_across_targets": [
        {"x": rec(1, "s")},
        {"x": rec(2, "s"), "f": rec(3, "f")},
        {"s": shared(0, rec(4, "s")), "a": {"x": again(0)}, "b": {"x": again(0), "f": rec(5, "f")}},
        {"s": shared(0, rec(6, "s")), "a": {"x": again(0)}, "b": {"x": again(0), "f": rec(7, "f")}},
    ],
    "con_singleton_context": [
        {"a": rec(1, 1), "b": rec(2, 1), "c": [1]},
        {"a": rec(3, 2), "b": rec(4, 2), "c": [2]},
    ],
    "yaml_empty": [{}],  # the reference gives None; here nothing is a configuration without targets
    "con_target_order": [ERROR],
    "con_unknown_target": [ERROR],
    "con_call_args_ignored": [ERROR],
}
# files are imported from a package of copies
RENAMED = {"one": "sources.one", "two": "sources.two", "two.helper_one": "sources.two.helper_one"}


def construct_cases() -> list[str]:
    cases = [path.parent.name for path in sorted(CASES.glob("*/case.json"))]
    cases.remove("yaml_root_list")  # differs: the root must be a mapping
    return [name for name in cases if "construct" in read_json(CASES / name / "case.json")]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of recording callables, with its count at zero."""
    monkeypatch.syspath_prepend(CONFORMANCE)
    module = importlib.import_module("fgcase")
    module.reset()
    yield module
    for name in [name for name in sys.modules if name.partition(".")[0] in ("sources", "fgcase")]:
        del sys.modules[name]


@pytest.mark.parametrize("case", construct_cases())
def test_case(case: str, library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CASES / case
    spec, expected = read_json(folder / "case.json"), read_json(folder / "expected.json")
    monkeypatch.syspath_prepend(tmp_path)
    compiled = compile_case(folder, spec)
    wanted = MENDED.get(case) or [
        ERROR if str(place) in expected.get("construct_errors", {}) else value
        for place, value in enumerate(expected["values"])
    ]
    for step, value in zip(spec["construct"], wanted, strict=True):
        if value is ERROR:
            with pytest.raises(Exception):  # noqa: B017
                run_step(compiled, step, folder, tmp_path)
            continue
        built = shown(run_step(compiled, step, folder, tmp_path), library)
        assert built == renumbered(value if case != "con_file_import" else renamed(value))


def compile_case(folder: Path, spec: Mapping[str, Any]) -> Compilation:
    session = Session([folder / name for name in spec.get("searchpath", ["."])])
    path = folder / spec.get("root", "main.yaml")
    variables = read_json(folder / "vars.json") if (folder / "vars.json").exists() else {}
    return session.compile(path, path.name, variables, collect_facts(folder, None))


def run_step(compiled: Compilation, step: Mapping[str, Any], folder: Path, out: Path) -> Any:
    """Generate the program of a step, run it, and call its result if the step says so."""
    graph = compiled.graph
    is_one = "targets" not in step and "root" not in step
    targets = list(graph.targets) if "root" in step else step.get("targets") or [step.get("node", step.get("target"))]

    def read(path: str) -> Source | None:
        found = folder / path
        return Source(path, found.read_text(encoding="utf-8")) if found.is_file() else None

    made = emit_program(graph, targets, options=EmitOptions(layout=None, read=read))
    assert made.value is not None, made.diagnostics
    result = run(made.value, step.get("context", {}), out)
    if not is_one and len(targets) == 1:
        return {targets[0]: result}
    if "node" in step:
        return result(*step.get("args", ()), **step.get("kwargs", {})) if callable(result) else refuse(step, result)
    later = step.get("then_call")
    return result if later is None else result(*later.get("args", ()), **later.get("kwargs", {}))


def refuse(step: Mapping[str, Any], result: Any) -> Any:
    """Refuses arguments for what is no partial."""
    if step.get("args") or step.get("kwargs"):
        raise TypeError("arguments were given to something that is no partial")
    return result


def run(program: Program, context: Mapping[str, Any], out: Path) -> Any:
    for name, text in program.files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    namespace: dict[str, Any] = {"__name__": "generated"}
    exec(compile(program.text, "<generated>", "exec"), namespace)
    return namespace[program.function](
        **{program.parameters[name]: value for name, value in context.items() if name in program.parameters}
    )


def shown(value: Any, library: Any) -> Any:
    """The value form of the conformance cases, with sharing."""
    counts: dict[int, int] = {}
    kept: list[Any] = []

    def count(part: Any) -> None:
        if isinstance(part, (list, dict, library.Rec)):
            kept.append(part)
            counts[id(part)] = counts.get(id(part), 0) + 1
            if counts[id(part)] > 1:
                return
        for inner in inside(part, library):
            count(inner)

    count(value)
    numbers: dict[int, int] = {}

    def show(part: Any) -> Any:
        if id(part) in numbers:
            return again(numbers[id(part)])
        if counts.get(id(part), 0) > 1:
            number = numbers[id(part)] = len(numbers)
            return shared(number, form(part))
        return form(part)

    def form(part: Any) -> Any:
        match part:
            case library.Rec():
                content = part.__canon__()
                return {"$obj": type(part).__name__} | {k: show_fields(v) for k, v in content.items()}
            case dict() if any(not isinstance(key, str) or key.startswith("$") for key in part):
                return {"$map": [[key, show(inner)] for key, inner in part.items()]}
            case dict():
                return {key: show(inner) for key, inner in part.items()}
            case list():
                return [show(inner) for inner in part]
            case tuple():
                return {"$tuple": [show(inner) for inner in part]}
            case functools.partial():
                return {"$partial": f"{part.func.__module__}:{part.func.__qualname__}"}
            case _:
                return part

    def show_fields(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: show(inner) for key, inner in content.items()}
        return [show(inner) for inner in content] if isinstance(content, list) else content

    return show(value)


def inside(part: Any, library: Any) -> list[Any]:
    match part:
        case library.Rec():
            return [*part.args, *part.kwargs.values()]
        case dict():
            return list(part.values())
        case list() | tuple():
            return list(part)
    return []


def renumbered(value: Any, numbers: dict[int, int] | None = None) -> Any:
    """Sharing numbered from zero in each step."""
    known: dict[int, int] = {} if numbers is None else numbers
    match value:
        case {"$def": number, "value": inner}:
            known[number] = len(known)
            return shared(known[number], renumbered(inner, known))
        case {"$ref": number}:
            return again(known[number])
        case dict():
            return {key: renumbered(inner, known) for key, inner in value.items()}
        case list():
            return [renumbered(inner, known) for inner in value]
    return value


def renamed(value: Any) -> Any:
    match value:
        case dict():
            return {key: renamed(inner) for key, inner in value.items()}
        case list():
            return [renamed(inner) for inner in value]
        case str():
            return RENAMED.get(value, value)
    return value

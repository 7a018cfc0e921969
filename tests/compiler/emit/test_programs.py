"""Whole configurations to the programs that they become; the expected files are for reading."""

import ast
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from fgc.emit import EmitOptions, Program, emit_program, emit_script
from fgc.ir import Call, CallKind, Deferred, Graph, GraphBuilder, Keyword, Literal, Symbol, SymbolKind, Var
from fgc.text import DeferredCall, DeferredExpression, DeferredName, Source
from fgc.workspace import Session, collect_facts

from tests.compiler.emit.graphs import HERE, symbol
from tests.compiler.emit.running import run_program

HERE_FOLDER = Path(__file__).parent
CONFIGS = HERE_FOLDER / "configs"
EXPECTED = HERE_FOLDER / "expected"


def graph_of(name: str) -> Graph:
    session = Session([CONFIGS])
    compiled = session.compile(CONFIGS / name, name, {}, collect_facts(CONFIGS, None))
    # the callables are stand-ins for the layout: what Python would say of them and their files is not asked here
    assert [finding for finding in compiled.diagnostics if not finding.code.startswith(("FGC001", "FGC5"))] == []
    return compiled.graph


def script(name: str) -> Program:
    options = EmitOptions(summary="Train a small model on TinyStories.", template=name, run_method="run")
    made = emit_script(graph_of(name), options=options).value
    assert made is not None
    return made


@pytest.mark.parametrize("name", sorted(path.stem for path in EXPECTED.glob("*.py")))
def test_a_configuration_becomes_the_expected_program(name: str) -> None:
    path = EXPECTED / f"{name}.py"
    text = script(f"{name}.yaml").text
    if os.environ.get("FGC_UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_line_of_a_function_knows_the_template_line_it_comes_from() -> None:
    program = script("training.yaml")
    lines = program.text.splitlines()
    number = next(place for place, line in enumerate(lines, start=1) if "weight_decay=0.1" in line)
    assert program.place(number).path == "main.trainer.optimizer_factory"  # type: ignore[union-attr]
    number = next(place for place, line in enumerate(lines, start=1) if "block_size = 512" in line)
    origin = program.place(number).origin  # type: ignore[union-attr]
    assert (origin.span.source.name, origin.span.text) == ("base.yaml", "512")
    main = [node for node in ast.parse(program.text).body if isinstance(node, ast.FunctionDef)][-1]
    first = main.body[0].lineno + 1  # behind `arguments = parse_arguments()`
    unknown = [n for n in range(first, (main.end_lineno or 0) + 1) if program.place(n) is None]
    assert all(not lines[n - 1].strip() or lines[n - 1].strip().startswith("#") for n in unknown)


def test_a_program_is_the_same_every_time() -> None:
    first, second = script("training.yaml"), script("training.yaml")
    places = [[(place.area, str(place.origin.span), place.path) for place in p.places] for p in (first, second)]
    assert (first.text, places[0]) == (second.text, places[1])


def deferred(*pieces: str | DeferredExpression) -> Any:
    builder = GraphBuilder()
    node = builder.add(Deferred("now", pieces, HERE))
    program = emit_program(builder.finish({"main": node}), ["main"], options=EmitOptions(workspace_root="../..")).value
    assert program is not None
    return run_program(program, {})


def test_deferred_texts_are_computed_where_the_program_runs() -> None:
    project = DeferredName("project_dir")
    joined = DeferredCall("joinpath", (project, "runs", "a b"))
    cwd = os.getcwd()  # noqa: PTH109
    assert deferred(project) == cwd
    assert deferred("at ", project, "!") == f"at {cwd}!"
    assert deferred(joined, '/"x" {y}') == f'{cwd}/runs/a b/"x" {{y}}'
    assert deferred(DeferredCall("dirname", (joined,)), "/", joined) == f"{cwd}/runs/{cwd}/runs/a b"
    assert deferred(DeferredCall("joinpath", (project, 'quo"te')), " and more") == f'{cwd}/quo"te and more'
    assert deferred(DeferredCall("concat", (project, "/x"))) == f"{cwd}/x"
    assert deferred(DeferredName("workspace_root")) == str(Path(cwd).parents[1])
    assert deferred(DeferredName("hostname"), ".log") == f"{socket.gethostname()}.log"
    assert deferred(DeferredCall("user_home_dir", ())) == str(Path.home())
    assert deferred(DeferredCall("getcwd", ())) == cwd
    assert deferred(DeferredCall("version", ("black",))).count(".") >= 1
    assert deferred(DeferredCall("version", ("python",))).startswith("3.")
    assert len(deferred(DeferredCall("filetime", ()))) == len("2026-01-02T03-04-05")
    assert len(deferred(DeferredCall("utcisotime", ()))) == len("2026-01-02T03:04:05")
    assert deferred(DeferredCall("user_config_dir", ("app",))) == str(Path.home() / ".config/app")


def test_a_pinned_value_replaces_a_deferred_one() -> None:
    builder = GraphBuilder()
    node = builder.add(Deferred("now", (DeferredName("project_dir"), "/x"), HERE))
    options = EmitOptions(pinned={"project_dir": "/work"})
    program = emit_program(builder.finish({"main": node}), ["main"], options=options).value
    assert program is not None
    assert run_program(program, {}) == "/work/x"


def codes(graph: Graph, *targets: str) -> list[str]:
    return [finding.code for finding in emit_program(graph, targets).diagnostics]


def test_an_unknown_target_is_a_finding_with_the_nearest_name() -> None:
    builder = GraphBuilder()
    graph = builder.finish({"model": builder.add(Literal(1, HERE))})
    (finding,) = emit_program(graph, ["modle"]).diagnostics
    assert (finding.code, finding.help) == ("FGC410", "did you mean `model`?")


def test_an_unknown_build_time_function_is_a_finding_with_the_nearest_name() -> None:
    builder = GraphBuilder()
    node = builder.add(Call(symbol("fgc:model_pakage"), CallKind.META, (), (), HERE))
    (finding,) = emit_program(builder.finish({"main": node}), ["main"]).diagnostics
    assert (finding.code, finding.help) == ("FGC411", "did you mean `fgc:model_package`?")


def test_only_what_the_targets_need_can_be_wrong() -> None:
    builder = GraphBuilder()
    bad = builder.add(Call(symbol("fgc:nonsense"), CallKind.META, (), (), HERE))
    assert codes(builder.finish({"bad": bad, "good": builder.add(Literal(1, HERE))}), "good") == []


def test_a_component_outside_a_model_is_a_finding() -> None:
    builder = GraphBuilder()
    component = Symbol(".attention:Attention", SymbolKind.COMPONENT, ".attention", "Attention", HERE)
    node = builder.add(Call(component, CallKind.SINGLETON, (), (), HERE))
    assert codes(builder.finish({"main": node}), "main") == ["FGC502"]


def test_a_local_file_that_cannot_be_read_is_a_finding() -> None:
    builder = GraphBuilder()
    file = Symbol("models/x.py:X", SymbolKind.FILE, "models/x.py", "X", HERE)
    node = builder.add(Call(file, CallKind.SINGLETON, (), (), HERE))
    outcome = emit_program(builder.finish({"main": node}), ["main"], options=EmitOptions(read=lambda path: None))
    assert [finding.code for finding in outcome.diagnostics] == ["FGC001"]


def test_local_files_and_the_siblings_they_import_are_copied() -> None:
    files = {
        "a/model.py": "from .parts.head import Head\nfrom . import tail\n",
        "lib/parts/__init__.py": "",
        "lib/parts/head.py": "from ..tail import x\nHead = x\n",
        "lib/tail.py": "x = 1\n",
        "b/model.py": "y = 2\n",
    }
    builder = GraphBuilder()
    folders = builder.add(Literal("lib", HERE))
    nodes = [
        builder.add(
            Call(
                Symbol(f"{path}:f", SymbolKind.FILE, path, "f", HERE),
                CallKind.SINGLETON,
                (),
                (),
                HERE,
                searchpath=folders if path == "a/model.py" else None,
            )
        )
        for path in ("a/model.py", "b/model.py")
    ]

    def read(path: str) -> Source | None:
        return Source(path, files[path]) if path in files else None

    graph = builder.finish({"one": nodes[0], "two": nodes[1]})
    program = emit_program(graph, ["one", "two"], options=EmitOptions(read=read)).value
    assert program is not None
    assert sorted(program.files) == [
        "sources/__init__.py",
        "sources/b_model.py",
        "sources/model/__init__.py",
        "sources/model/parts/__init__.py",
        "sources/model/parts/head.py",
        "sources/model/tail.py",
    ]
    assert "from sources.b_model import f as b_model_f" in program.text
    assert [file.path for file in program.local_files] == ["a/model.py", "b/model.py"]


def test_parameters_are_typed_and_those_without_a_default_come_first() -> None:
    builder = GraphBuilder()
    default = builder.add(Literal(0.5, HERE))
    keywords = (
        Keyword("a", builder.add(Var("rate", default, HERE)), HERE),
        Keyword("b", builder.add(Var("needed", None, HERE)), HERE),
    )
    node = builder.add(Call(symbol("fgcase:Rec"), CallKind.SINGLETON, (), keywords, HERE))
    program = emit_program(builder.finish({"main": node}), ["main"]).value
    assert program is not None
    assert "def construct(needed: Any, rate: float = 0.5) -> Any:\n    return Rec(a=rate, b=needed)" in program.text
    assert program.parameters == {"rate": "rate", "needed": "needed"}


def test_a_default_that_is_constructed_is_constructed_only_if_needed() -> None:
    builder = GraphBuilder()
    model = builder.add(Call(symbol("fgcase:Rec"), CallKind.SINGLETON, (), (), HERE))
    node = builder.add(Var("model", model, HERE))
    program = emit_program(builder.finish({"main": node}), ["main"]).value
    assert program is not None
    assert "    if model is MISSING:\n        model = Rec()\n    return model" in program.text


def test_a_variable_that_nobody_gives_a_started_program_is_reported() -> None:
    builder = GraphBuilder()
    node = builder.add(Var("width", None, HERE))
    graph = builder.finish({"main": node})
    assert [found.code for found in emit_script(graph).diagnostics] == ["FGC412"]
    assert emit_program(graph, ["main"]).diagnostics == ()


def test_factories_that_are_mentioned_twice_share_their_code_however_long_the_chain() -> None:
    graph = GraphBuilder()
    node = graph.add(Call(symbol("builtins:list"), CallKind.FACTORY, (), (), HERE))
    for _ in range(60):  # 2^60 objects, if each mention were written out
        node = graph.add(Call(symbol("builtins:max"), CallKind.FACTORY, (node, node), (), HERE))
    made = emit_program(graph.finish({"main": node}), ["main"]).value
    assert made is not None
    assert len(made.text.splitlines()) < 250

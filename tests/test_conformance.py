"""The conformance cases: text and graph as expected, through the command line, except where we differ on purpose."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

CONFORMANCE = Path(__file__).with_name("conformance")
CASES = sorted(path.name for path in (CONFORMANCE / "cases").iterdir())
DIFFERS = dict(line.split("\t") for line in (CONFORMANCE / "differs.tsv").read_text().splitlines()[1:])
# cases of DIFFERS whose graph or outcome, and not only what is constructed of it, is another one
OTHER_GRAPH = {"tag_names_lost", "tag_scalar_arg", "yaml_root_list"}
OTHER_OUTCOME = {"tag_reserved_constructor", "tag_reserved_identity"}
ENVIRONMENT = {
    **os.environ,
    "SOURCE_DATE_EPOCH": "1767341045",
    "TZ": "EST5",
    "FGC_HOSTNAME": "testhost",
    "FGC_VERSIONS": "python=3.11.0,torch=2.0.0",
}
_PROGRAM = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from fgc.cli.main import main
results = []
for argv in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(argv)
    results.append([code, out.getvalue(), err.getvalue()])
sys.__stdout__.write(json.dumps(results))
"""


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@cache
def all_results() -> dict[tuple[str, ...], tuple[int, str, str]]:
    """Every command line of every case, run in one process."""
    lines = [argv for case in CASES for argv in command_lines(case)]
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(lines),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {tuple(argv): tuple(r) for argv, r in zip(lines, json.loads(result.stdout), strict=True)}


def command_lines(case: str) -> list[list[str]]:
    folder = CONFORMANCE / "cases" / case
    spec = read_json(folder / "case.json")
    if "project" in spec:
        configs = spec["project"].get("configs", [""])
        project = folder / spec["project"].get("dir", ".")
        return [project_line(project, config, command) for config in configs for command in ("pp", "graph")]
    return [file_line(folder, spec, "pp"), file_line(folder, spec, "graph")]


def file_line(folder: Path, spec: dict[str, Any], command: str) -> list[str]:
    searchpath = [word for item in spec.get("searchpath", ["."]) for word in ("-I", str((folder / item).resolve()))]
    variables = ["--vars", str(folder / "vars.json")] if (folder / "vars.json").exists() else []
    return [command, spec.get("root", "main.yaml"), *searchpath, *variables, *form(command)]


def project_line(project: Path, config: str, command: str) -> list[str]:
    variables = ["--vars", str(project / "vars.json")] if (project / "vars.json").exists() else []
    return ["-p", str(project.resolve()), *(["-t", config] if config else []), command, *variables, *form(command)]


def form(command: str) -> list[str]:
    return ["--format", "json"] if command == "graph" else []


def outcome(case: str, expected: dict[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """The expected graph and error, with comment lines deleted, as they always are here."""
    if "graph_when_comments_deleted" in expected:
        return expected["graph_when_comments_deleted"], None
    return expected.get("graph"), expected.get("error_when_comments_deleted", expected.get("error"))


def fill(text: str, case: str) -> str:
    folder = str((CONFORMANCE / "cases" / case).resolve())
    return text.replace("{CASE}", folder).replace("{LIB}", str(CONFORMANCE))


SINGLE = [c for c in CASES if "project" not in read_json(CONFORMANCE / "cases" / c / "case.json")]
PROJECTS = [c for c in CASES if c not in SINGLE]
FROM_STRING = {c for c in SINGLE if read_json(CONFORMANCE / "cases" / c / "case.json").get("source") == "string"}


@pytest.mark.parametrize("case", [c for c in SINGLE if c not in FROM_STRING])
def test_case(case: str) -> None:
    folder = CONFORMANCE / "cases" / case
    spec, expected = read_json(folder / "case.json"), read_json(folder / "expected.json")
    pp, graph = (all_results()[tuple(file_line(folder, spec, command))] for command in ("pp", "graph"))
    wanted_graph, error = outcome(case, expected)
    if error is not None and error["stage"] in ("pp", "load") and case not in OTHER_OUTCOME:
        assert graph[0] == 1, "an error is found"
        assert "error[FGC" in graph[2] and ".yaml:" in graph[2], "and has a code and a place"
        return
    if (folder / "expected.pp.yaml").exists() and case != "toml_trim_super":
        assert pp[1] == fill((folder / "expected.pp.yaml").read_text(encoding="utf-8"), case)
    if spec.get("stage") != "pp" and case not in OTHER_GRAPH | OTHER_OUTCOME:
        assert json.dumps(json.loads(graph[1])) == fill(json.dumps(wanted_graph), case)


@pytest.mark.parametrize("case", PROJECTS)
def test_project_case(case: str) -> None:
    folder = CONFORMANCE / "cases" / case
    spec, expected = read_json(folder / "case.json"), read_json(folder / "expected.json")
    project = folder / spec["project"].get("dir", ".")
    if "error" in expected:
        assert all(all_results()[tuple(line)][0] == 2 for line in command_lines(case))
        return
    for config in spec["project"].get("configs", [""]):
        pp, graph = (all_results()[tuple(project_line(project, config, command))] for command in ("pp", "graph"))
        name = config.replace("/", "__").removesuffix(".yaml")
        candidates = [
            folder / f"expected.pp.{n}.yaml" for n in (name, expected["meta"]["default_config"].removesuffix(".yaml"))
        ]
        text = next(path for path in candidates if path.exists()).read_text(encoding="utf-8")
        assert lines_of(pp[1]) == lines_of(fill(text, case))
        wanted = expected["configs"].get(config) or expected["configs"][expected["meta"]["default_config"]]
        assert json.dumps(json.loads(graph[1])) == fill(json.dumps(wanted["graph"]), case)


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_a_name_header_in_a_child_overrides_once_and_trims() -> None:
    """toml_trim_super: the reference prints the block twice."""
    folder = CONFORMANCE / "cases/toml_trim_super"
    text = all_results()[tuple(file_line(folder, {}, "pp"))][1]
    assert text == "top:\nx: 1\n\n    y: 1b: 2\n"


def test_scalar_arguments_have_their_yaml_value() -> None:
    """tag_scalar_arg: the reference spreads the characters of a text."""
    graph = json.loads(all_results()[tuple(file_line(CONFORMANCE / "cases/tag_scalar_arg", {}, "graph"))][1])
    assert graph["a"]["args"] == ["abc"]


def test_reserved_words_of_the_reference_are_ordinary_keywords() -> None:
    for case in sorted(OTHER_OUTCOME):
        code, out, _ = all_results()[tuple(file_line(CONFORMANCE / "cases" / case, {}, "graph"))]
        assert code == 0
        word = case.removeprefix("tag_reserved_").replace("identity", "_identity")
        assert any(word in node["kwargs"] for node in json.loads(out).values())

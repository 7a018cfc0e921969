"""Checks that what is generated is laid out as Black and ruff lay it out, and neither finds fault with it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import black
import pytest
from fgc.emit import EmitOptions, emit_program, emit_script
from fgc.ir import Graph
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.compiler.emit.graphs import graphs
from tests.compiler.emit.recording import install

SYMBOLS = install()
_EXAMPLES = int(os.environ.get("FGC_FUZZ_EXAMPLES", "60"))
# what a graph says in a strange way stays strange: `!call:str []`, a list as the one value of `dict.fromkeys`, a latent
# keyword over a written one that must still be evaluated
_STRANGE = "UP018,RUF024,PIE800"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of random graphs, in a folder of their own."""
    folder = tmp_path_factory.mktemp("programs")
    count = 0

    @seed(1)
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(graph=graphs(SYMBOLS, size=25))
    def write(graph: Graph) -> None:
        nonlocal count
        count += 1
        for name, made in (
            ("module", emit_program(graph, list(graph.targets), options=EmitOptions())),
            ("script", emit_script(graph, "main", options=EmitOptions(run_method="run"))),
        ):
            assert made.value is not None
            (folder / f"{name}_{count}.py").write_text(made.value.text, encoding="utf-8")

    write()
    return folder


def test_black_changes_nothing(programs: Path) -> None:
    for path in sorted(programs.iterdir()):
        text = path.read_text(encoding="utf-8")
        ast.parse(text)
        assert black.format_str(text, mode=black.Mode()) == text, path.name


def test_ruff_format_changes_nothing(programs: Path) -> None:
    assert ruff("format", "--diff", programs) == ""


def test_ruff_finds_nothing(programs: Path) -> None:
    options = ("--extend-select=I", "--output-format=concise", f"--ignore={_STRANGE}")
    found = ruff("check", *options, programs)
    assert [line for line in found.splitlines() if ".py:" in line and not is_no_name(line)] == []


def is_no_name(finding: str) -> bool:
    """Keywords that ruff takes for names and Python does not: they must stand in a mapping."""
    path, line, _ = finding.split(":", 2)
    text = Path(path).read_text(encoding="utf-8").splitlines()
    return "PIE804" in finding and any(word in "".join(text[int(line) - 1 :][:4]) for word in ('"__debug__"', '"ﬁ"'))


def ruff(command: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", command, "--isolated", "--no-cache", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout

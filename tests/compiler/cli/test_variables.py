"""`!var` parameters of programs are annotated by what receives them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run

PARTS = """
from typing import Any, Optional


def train(steps: int, rate: float = 0.1, name: Optional[str] = None, other: Any = None): ...


def rest(count: int, rate: float): ...
"""


@pytest.mark.parametrize(
    ("arguments", "annotation"),
    [
        ("steps: !var x", "x: int"),
        ("steps: 1, rate: !var { name: x, default: 1 }", "x: float = 1"),
        ("steps: 1, name: !var { name: x, default: null }", "x: str | None = None"),
        ("steps: 1, rate: !var { name: x, default: null }", "x: float | None = None"),
        ("steps: 1, rate: !var { name: x, default: fast }", 'x: str = "fast"'),
        ("steps: 1, other: !var x", "x: Any"),
        ("steps: !var x, rate: !var x", "x: Any"),
        ("steps: 1, other: [ !var x ]", "x: Any"),
        ("steps: 1, other: !call:parts.py:rest { count: !var x, rate: 1 }", "x: int"),
    ],
)
def test_a_variable_is_annotated_by_the_parameters_that_it_goes_to(run: Run, arguments: str, annotation: str) -> None:
    Path("parts.py").write_text(PARTS)
    Path("c.yaml").write_text(f"main: !call:parts.py:train {{ {arguments} }}\n")
    result = run("code", "c.yaml")
    match = re.search(r"def main\((.*)\) -> None:", result.out)
    assert match is not None and match[1] == annotation


def test_a_variable_that_nobody_gives_stops_a_build_and_warns_in_a_check(run: Run) -> None:
    Path("c.yaml").write_text("main: !call:print [ !var width ]\n")
    built = run("build", "c.yaml", "-o", "out")
    assert built.code == 1 and "error[FGC412]" in built.err and not Path("out").exists()
    checked = run("check", "c.yaml")
    assert checked.code == 1 and "warning[FGC412]" in checked.err


@pytest.mark.parametrize(
    ("kind", "count"), [("type.dataset", 0), ("type.model", 0), ("type.training_script.causal_lm", 1), ("other", 1)]
)
def test_the_project_that_uses_a_dataset_or_a_model_gives_its_variables(run: Run, kind: str, count: int) -> None:
    Path("c.yaml").write_text(f"meta: {{ config_class: {kind} }}\nmain: !call:print [ !var width ]\n")
    assert run("check", "c.yaml").err.count("FGC412") == count
    assert "error[FGC412]" in run("build", "c.yaml", "-o", "out").err  # nobody gives them to a program


def test_python_gives_variables_without_a_word(run: Run) -> None:
    Path("c.yaml").write_text("main: !call:print [ !var width ]\n")
    result = run("construct", "c.yaml", "--var", "width=3")
    assert (result.code, result.out.splitlines()[0], result.err) == (0, "3", "")


def test_a_program_knows_the_text_of_its_resolved_configuration(run: Run) -> None:
    Path("c.yaml").write_text("main: !call:print [ !var pp_config ]\n")
    assert run("check", "c.yaml").code == 0
    assert run("build", "c.yaml", "-o", "out").code == 0
    done = subprocess.run([sys.executable, "out/train.py"], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip("\n") == Path("out/config.yaml").read_text().rstrip("\n")
    assert run("construct", "c.yaml").out.startswith("main: !call:print [ !var pp_config ]")

"""`!var` parameters of programs are annotated by what receives them."""

import re
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

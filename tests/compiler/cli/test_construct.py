"""`fgc construct`: objects are made by the program and printed."""

from pathlib import Path

import pytest

from .conftest import Run

CONFIG = """\
a: &a !singleton:collections:OrderedDict { x: 1 }
b: !partial:builtins:dict { y: !var w }
l: [ *a, *a ]
text: plain
broken: !singleton:builtins:int [ zz ]
main: [ *a, 2 ]
"""


@pytest.fixture(autouse=True)
def _config(run: Run) -> None:
    Path("c.yaml").write_text(CONFIG)


def test_objects_are_printed_by_name_where_there_are_several(run: Run) -> None:
    assert run("construct", "c.yaml").out == "[OrderedDict([('x', 1)]), 2]\n"
    assert run("construct", "c.yaml", "--target", "text").out == "plain\n"
    result = run("construct", "c.yaml", "--target", "text", "--target", "l")
    assert result.out == "l: [OrderedDict([('x', 1)]), OrderedDict([('x', 1)])]\ntext: plain\n"


def test_a_partial_is_called_with_call(run: Run) -> None:
    assert run("construct", "c.yaml", "--target", "b", "--var", "w=3", "--call").out == "{'y': 3}\n"
    result = run("construct", "c.yaml", "--target", "l", "--call")
    assert result.code == 2 and "`l` cannot be called: it is a `list`" in result.err


def test_a_construction_that_fails_names_the_line(run: Run) -> None:
    result = run("construct", "c.yaml", "--target", "broken")
    assert result.code == 1 and "while constructing `broken`, written at c.yaml:5:9" in result.err
    assert "bug in fgc" not in result.err


def test_warnings_of_a_check_are_told_but_not_that_a_variable_has_no_value(run: Run) -> None:
    Path("d.yaml").write_text("main: !call:dict { x: 1, x: !var w }\n")
    result = run("construct", "d.yaml", "--var", "w=2")
    assert result.out == "{'x': 2}\n"
    assert "FGC316" in result.err and "FGC412" not in result.err


def test_wrong_targets_and_variables(run: Run) -> None:
    result = run("construct", "c.yaml", "--target", "mian")
    assert result.code == 1 and "did you mean `main`?" in result.err
    assert run("construct", "c.yaml", "--target", "b", "--var", "ww=3").code == 2
    assert run("construct", "c.yaml", "--target", "b", "--var", "w").code == 2

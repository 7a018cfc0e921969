"""An outline gives the same statements as Python does, once all definitions have their bodies."""

import ast
import sysconfig
from pathlib import Path

import pytest
from fgc.signatures.modules import PythonModule
from fgc.signatures.outline import Outline
from fgc.text import Source

_LONG = "".join(f"    line_{number} = {number}\n" for number in range(20))
_ENDS = (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.ExceptHandler)  # nobody asks where these end
STANDARD = Path(sysconfig.get_path("stdlib"))


def written(statements: list[ast.stmt]) -> list[str]:
    """Statements with all their places, as text."""
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, _ENDS):
            vars(node).update(end_lineno=0, end_col_offset=0)
    return [ast.dump(node, include_attributes=True) for node in statements]


def check(text: str) -> Outline:
    outline = Outline(text)
    for node in list(outline._hollow):
        assert outline.fill(node)
    assert written(outline.statements) == written(ast.parse(text).body)
    return outline


@pytest.mark.parametrize("name", ["typing", "dataclasses", "functools", "argparse", "os", "logging/__init__", "locale"])
def test_a_filled_outline_is_the_file(name: str) -> None:
    text = (STANDARD / f"{name}.py").read_text(encoding="utf-8")
    assert Outline(text)._hollow, "nothing was left out: the file tests nothing"
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'def f():\n    """\ndef g(): no\n    """\n{_LONG}x = 1\n', id="a definition in a docstring"),
        pytest.param(f"def f(\n    a,\n    b=':',\n) -> dict[str, int]:\n{_LONG}x = 1\n", id="a long header"),
        pytest.param(f"if True:\n    def f():\n    {_LONG.replace(chr(10), chr(10) + '    ')}\nx = 1\n", id="in if"),
        pytest.param(f"class A:  # '\n{_LONG}# don't\n\nclass B(A): pass\n", id="quotes in comments"),
        pytest.param(f"def f():\n{_LONG}    x = (\n1)\n    return x\ny = 2\n", id="a bracket at the left edge"),
        pytest.param(f"class A:\n{_LONG}    def f(self): return r'\\''\nx = 'def f():'\n", id="raw text"),
        pytest.param(f"@decorator(\n    1)\nasync  def f(a: 'int' = {{1: 2}}[1]):\n{_LONG}", id="async, decorated"),
        pytest.param(f"def f(): return 1; \\\n    g()\n{'x = 1' * 1}\nclass C:\n{_LONG}", id="in one line"),
    ],
)
def test_what_looks_like_the_end_of_a_definition(text: str) -> None:
    check(text)


def test_a_file_that_python_cannot_parse_has_no_statements() -> None:
    assert Outline(f"def f():\n{_LONG}x = = 1\n").statements == []


def test_an_error_anywhere_in_a_users_file_leaves_nothing_known() -> None:
    source = Source("own.py", f"def f():\n{_LONG}\ndef g():\n{_LONG}    x = = 1\n")
    assert PythonModule("own", "/p/own.py", source, home="/p/own.py").scope("f").bindings == {}
    assert set(PythonModule("package.own", "/p/own.py", source).scope("f").bindings) == {"f", "g"}


def test_a_body_that_python_cannot_parse_is_told() -> None:
    outline = Outline(f"def f():\n{_LONG}    x = = 1\ny = 2\n")
    assert [outline.fill(node) for node in outline.statements] == [False, True]

"""What is read from files that a package may consist of, and what a call of it gives."""

from pathlib import Path

import pytest
from fgc.signatures import Answer, Verdict

from .reading import lookup


def answer(folder: Path, name: str, **files: str) -> Answer:
    """What is known of a name in the package `lib`, whose files are given by their names without dots."""
    (folder / "lib").mkdir()
    for file, text in {"__init__": "", **files}.items():
        suffix = "pyi" if file.endswith("_stub") else "py"
        (folder / "lib" / f"{file.removesuffix('_stub')}.{suffix}").write_text(text)
    return lookup(folder).in_module(*name.split(":"))


def shown(found: Answer) -> list[str]:
    """The parameters of the one signature."""
    (signature,) = found.signatures
    return [parameter.name for parameter in signature.parameters]


def test_a_stub_tells_of_what_an_extension_brings_in(tmp_path: Path) -> None:
    files = {"__init__": "from .fast import Fast\n", "__init___stub": "class Fast:\n    def __new__(cls, size): ...\n"}
    (tmp_path / "x").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/fast.abi3.so").write_bytes(b"")
    for name, text in (("__init__.py", files["__init__"]), ("__init__.pyi", files["__init___stub"])):
        (tmp_path / "lib" / name).write_text(text)
    assert shown(lookup(tmp_path).in_module("lib", "Fast")) == ["size"]


def test_typeshed_tells_of_functions_in_c_wherever_they_are_imported_from(tmp_path: Path) -> None:
    assert shown(answer(tmp_path, "lib.a:sleep", a="from time import sleep\n")) == ["seconds"]


def test_a_module_of_the_same_name_is_not_taken_for_that_of_python(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue/__init__.py").write_text("SimpleQueue = make()\n")
    assert lookup(tmp_path).in_module("queue", "SimpleQueue").verdict is Verdict.UNKNOWN


def test_a_module_says_more_of_itself_than_its_stub(tmp_path: Path) -> None:
    files = {"a": "def f(x, y=1): ...\n", "a_stub": "def f(x) -> int: ...\ndef g(): ...\n"}
    assert shown(answer(tmp_path, "lib.a:f", **files)) == ["x", "y"]


@pytest.mark.parametrize("decoration", ["@functools.wraps(f)\n    ", ""])
def test_a_wrapper_that_is_said_to_be_one_keeps_the_signature(tmp_path: Path, decoration: str) -> None:
    update = "" if decoration else "    functools.update_wrapper(w, f)\n"
    text = (
        f"import functools\ndef deco(f):\n    {decoration}def w(*args, **kwargs):\n        return f(*args, **kwargs)\n"
        f"{update}    return w\n@deco\ndef g(a, b=2) -> int: ...\n"
    )
    found = answer(tmp_path, "lib.a:g", a=text)
    assert shown(found) == ["a", "b"] and found.result == ()


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("class A: ...", ["A"]),
        ("import abc\nclass A(abc.ABC):\n    def __init__(self, x): ...", ["A"]),
        ("class A:\n    def __new__(cls):\n        return 1", []),
        ("class M(type): ...\nclass A(metaclass=M): ...", ["A"]),
        ("class M(type):\n    def __call__(cls): ...\nclass A(metaclass=M): ...", []),
        ("def A() -> 'B | None': ...\nclass B: ...", ["B", "None"]),
        ("from typing import Optional, Union\ndef A() -> Union[int, Optional[str]]: ...", ["int", "str", "None"]),
        ("from typing import Any\ndef A() -> Any: ...", []),
        ("from typing import TypeVar\nT = TypeVar('T')\ndef A(x: T) -> T: ...", []),
        ("from collections.abc import Sequence\ndef A() -> Sequence[int]: ...", []),
        ("from typing import Protocol\nclass P(Protocol): ...\ndef A() -> P: ...", []),
        ("def A() -> list[int]: ...", ["list"]),
        ("async def A() -> int: ...", []),
        ("import contextlib\n@contextlib.contextmanager\ndef A() -> int: ...", []),
        ("class B:\n    def __call__(self) -> int: ...\nA = B()", ["int"]),
        ("def A(): ...", []),
    ],
)
def test_what_a_call_gives_is_known_only_where_it_is_certain(tmp_path: Path, text: str, types: list[str]) -> None:
    assert [item.name for item in answer(tmp_path, "lib.a:A", a=text).result] == types


def test_a_type_knows_its_bases_and_what_it_converts_to(tmp_path: Path) -> None:
    text = "class B:\n    def __index__(self): ...\nclass A(B, dict): ...\nclass C(unknown.X): ...\n"
    (found,) = answer(tmp_path, "lib.a:A", a=text).result
    assert found.bases == ("lib.a.A", "lib.a.B", "builtins.dict") and found.conversions == ("__index__",)
    assert not found.is_open
    (other,) = lookup(tmp_path).in_module("lib.a", "C").result or (None,)
    assert other is None or other.is_open


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from warnings import deprecated\n@deprecated('use B')\nclass A: ...", "use B"),
        ("import warnings\ndef A():\n    '''Doc.'''\n    warnings.warn('gone', FutureWarning)", "gone"),
        ("import warnings\ndef A(x=None):\n    if x:\n        warnings.warn('gone', FutureWarning)", None),
        ("import warnings\ndef A():\n    warnings.warn('mind the step')", None),
        ("def A(): ...", None),
    ],
)
def test_what_is_deprecated_says_so_itself(tmp_path: Path, text: str, message: str | None) -> None:
    found = answer(tmp_path, "lib.a:A", a=text)
    assert found.verdict is Verdict.CALLABLE and found.deprecated == message


_LAZY = """
import sys
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from .models import *
else:
    sys.modules[__name__] = _LazyModule(__name__, globals()["__file__"], {}, module_spec=__spec__)
"""


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("Encoder", "CALLABLE"), ("Encodr", "NO_ATTRIBUTE"), ("Encode", "NO_ATTRIBUTE"), ("made", "UNKNOWN")],
)
def test_a_name_that_no_file_of_a_lazy_package_holds_is_missing(tmp_path: Path, name: str, verdict: str) -> None:
    found = answer(tmp_path, f"lib:{name}", __init__=_LAZY, models="class Encoder: ...\nglobals()['made'] = print\n")
    assert found.verdict is Verdict[verdict]
    assert found.names == (("Encoder",) if verdict == "NO_ATTRIBUTE" else ())


@pytest.mark.parametrize(
    ("module", "verdict"),
    [
        ("lib.models", "CALLABLE"),
        ("lib.modells", "NO_FILE"),
        ("lib.modells.encoder", "NO_FILE"),
        ("lib.old", "UNKNOWN"),
    ],
)
def test_a_package_with_a_finder_may_have_modules_without_files(tmp_path: Path, module: str, verdict: str) -> None:
    served = "import sys\nALIASES = {'old': 'models'}\nsys.meta_path.append(AliasFinder(ALIASES))\n"
    found = answer(tmp_path, f"{module}:Encoder", __init__=served, models="class Encoder: ...\n")
    assert found.verdict is Verdict[verdict]
    assert found.wrong == ("lib.modells" if verdict == "NO_FILE" else "")


def test_each_of_two_definitions_may_hold_if_nothing_decides(tmp_path: Path) -> None:
    text = "import lib\nif lib.choice():\n    def f(a): ...\nelse:\n    def f(a, b): ...\n"
    found = answer(tmp_path, "lib.a:f", a=text)
    assert [[parameter.name for parameter in item.parameters] for item in found.signatures] == [["a"], ["a", "b"]]


def test_an_attribute_is_missing_only_if_the_class_shows_all_of_them(tmp_path: Path) -> None:
    text = (
        "class A:\n    def __init__(self):\n        self.size = 1\nclass B(A):\n    def __getattr__(self, name): ...\n"
    )
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/__init__.py").write_text(text)
    files = lookup(tmp_path)
    (plain,), (dynamic,) = (files.in_module("lib", name).result for name in "AB")
    assert files.of_object(plain, "sise").verdict is Verdict.NO_ATTRIBUTE
    assert files.of_object(plain, "size").verdict is Verdict.UNKNOWN
    assert files.of_object(dynamic, "sise").verdict is Verdict.UNKNOWN
    assert "size" in files.of_object(dynamic, "sise").names


def test_a_name_behind_two_of_many_star_imports_is_found(tmp_path: Path) -> None:
    """As in networkx, whose algorithms are packages of star imports."""
    many = {f"part{number}": "from lib.tools import *\n" for number in range(25)}  # two import each other whole
    many["tools"] = "from lib.part1 import *\nfrom lib.more import *\n"
    stars = "".join(f"from lib.{name} import *\n" for name in many)
    found = answer(
        tmp_path, "lib:shortest_path", __init__=stars, more="def shortest_path(graph, source): ...\n", **many
    )
    assert found.verdict is Verdict.CALLABLE

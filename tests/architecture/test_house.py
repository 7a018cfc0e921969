"""Things that must be so in every folder: docstrings, fresh tables, true exports, a whole wheel, links that lead."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from fgc.syntax import build_tables

ROOT = Path(__file__).parents[2]
PACKAGES = {"fgc": "compiler", "fgc_runtime": "runtime", "fgc_models": "modelsrc", "fgc_stdlib": "stdlib"}
MODULES = [path for folder in PACKAGES.values() for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "a module begins with a sentence that says what goes in and what comes out"
    assert docstring.splitlines()[0].endswith((".", ":"))


def test_the_root_holds_what_the_architecture_names() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {name.partition("/")[0] for name in listed.splitlines()}
    layout = (ROOT / "docs/internals/architecture.md").read_text(encoding="utf-8").partition("```\n")[2]
    named = {line.split()[0].partition("/")[0] for line in layout.partition("```")[0].splitlines()}
    hidden_and_written = {name for name in found if name.startswith(".") or name[0].isupper()}
    assert found - hidden_and_written <= named | {"constraints.txt"}


def _words(node: ast.List) -> list[str]:
    return [item.value if isinstance(item, ast.Constant) else ast.unparse(item) for item in node.elts]


@pytest.mark.parametrize("package", ["compiler", "runtime"])
def test_no_helper_can_import_from_the_working_folder(package: str) -> None:
    for path in MODULES:
        if path.is_relative_to(ROOT / package):
            lists = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.List)]
            for words in map(_words, lists):
                if words[0:1] in (["sys.executable"], ["python"]) and len(words) > 1:
                    starts_a_file = words[1].startswith(("*", "str("))
                    assert words[1] == "-P" or starts_a_file, f"{path}: {words}"


def test_grammar_tables_are_fresh() -> None:
    message = "run `python -m fgc.syntax.build_tables`"
    assert build_tables.build() == build_tables.TABLES_FILE.read_text(encoding="utf-8"), message


def test_exports_exist_in_every_package_of_the_compiler() -> None:
    import fgc

    for module in pkgutil.walk_packages(fgc.__path__, "fgc."):
        if module.name == "fgc.__main__":
            continue
        loaded = importlib.import_module(module.name)
        for name in getattr(loaded, "__all__", ()):
            assert hasattr(loaded, name), f"{module.name}.__all__ names {name}"


def test_links_in_documents_lead_somewhere() -> None:
    documents = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "grammar").glob("*.md"),
    ]
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}"


def test_recipes_name_files_and_names_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = [word for word in re.findall(r"`([\w./]+/[\w./]*)`", text) if not word.startswith((".", "pages/"))]
    assert len(paths) > 20
    folders = (ROOT, ROOT / "compiler/fgc", ROOT / "stdlib/fgc_stdlib")
    assert [path for path in paths if not any((folder / path).exists() for folder in folders)] == []
    tables = {"DISPLAY_TAGS": "ir/builtins.py", "_CALLS": "lower/lowerer.py"}
    for name, path in tables.items():
        assert f"\n{name} = " in (ROOT / "compiler/fgc" / path).read_text(encoding="utf-8") and name in text


@pytest.mark.slow
def test_the_wheel_holds_every_module_template_and_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    for package, folder in PACKAGES.items():
        for path in (ROOT / folder / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert str(path.relative_to(ROOT / folder)) in names


def test_every_dependency_has_a_version_that_the_tests_pass_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    words = [*project["dependencies"], *(word for extra in project["optional-dependencies"].values() for word in extra)]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"-c constraints\.txt (.*)", makefile):
        words += [word for word in line.split() if not word.startswith(("-", "'"))]
    named = {re.split(r"[\[<>=!~; ]", word)[0].lower().replace("_", "-") for word in words} - {"fgc"}
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    pinned = {line.partition("==")[0] for line in text.splitlines()}
    assert named - pinned == set()


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    openings = ("What ", "Whether ", "Where ", "How ", "Which ", "Who ", "Why ")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and (ast.get_docstring(node) or "").startswith(openings)
    ]
    assert not found, "write `Returns ...`, `Checks ...`: " + ", ".join(found)


def test_a_class_name_of_the_compiler_means_one_thing() -> None:
    """Nodes of the two languages, templates and Python, are called as those languages call them."""
    languages = {ROOT / "compiler/fgc/syntax/ast.py", ROOT / "compiler/fgc/emit/expression.py"}
    places: dict[str, list[str]] = {}
    for path in sorted({*(ROOT / "compiler").rglob("*.py")} - languages):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}

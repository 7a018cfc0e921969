"""Every example and every template of the library that stands for itself becomes the program that is checked in.

`pytest tests/compiler/emit/test_golden.py --update-golden` writes tests/golden anew: read the difference before you
commit it. The modeling file of a size, or of an example, is kept as a difference to that of its family; the program
of an example as a difference to that of the template that it extends.
"""

import difflib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
from fgc.pipeline.program import make_module, make_script
from fgc.workspace import FileStore, open_project, template_library
from fgc.workspace.selection import Selected, select_config, select_file
from packaging.version import Version

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden"
LIBRARY = template_library() or Path()
_STORE = FileStore()
_RULES = "E,F,I,B,UP,SIM,RUF,C4,PIE,RET,W,N,PLE,PLW"
_NOT_OURS = "E501,RUF001,N812"  # texts of the author; `F` of torch
# what torch and transformers leave untyped: calls of modules give Any, `post_init` and `capture_outputs` say no types
_MYPY = """
[mypy]
strict = true
explicit_package_bases = true
mypy_path = compiler, runtime, modelsrc, stdlib, {folder}
[mypy-generated.*]
disallow_untyped_calls = false
disallow_untyped_decorators = false
warn_return_any = false
[mypy-accelerate.*,cut_cross_entropy.*,datasets.*,liger_kernel.*,pyarrow.*,pygments.*,tensorboard.*]
ignore_missing_imports = true
[mypy-trl.*]
implicit_reexport = true
"""
_HOW = "run `pytest tests/compiler/emit/test_golden.py --update-golden`, read the difference, and commit it"


def _examples() -> list[str]:
    projects = (path.parent for path in sorted((ROOT / "examples").rglob("meta.yaml")))
    found = []
    for folder in projects:
        configs = folder / "templates/configs"
        found += [f"examples/{folder.relative_to(ROOT / 'examples')}:{p.relative_to(configs)}" for p in _yaml(configs)]
    return found


def _yaml(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.yaml"))


NAMES = [*_examples(), *(f"library/{path.relative_to(LIBRARY)}" for path in _yaml(LIBRARY))]


def golden_folder(name: str) -> Path:
    return GOLDEN / name.replace(":", "/").removesuffix(".yaml").replace(".", "_")


def selected(name: str) -> Selected:
    if name.startswith("library/"):
        return select_file(Path(name.removeprefix("library/")), [str(LIBRARY)], {}, _STORE)
    folder, _, config = name.partition(":")
    return select_config(open_project(ROOT / folder, _STORE), config, {})


@cache
def files_of(name: str) -> Mapping[str, str]:
    """The generated Python files of a template; none for a part, which only another template completes."""
    chosen = selected(name)
    graph = chosen.compilation.graph
    if name.startswith("library/") and (chosen.has_errors or not graph.targets):
        return {}
    assert not chosen.has_errors, chosen.diagnostics
    is_script = "main" in graph.targets
    surroundings = chosen.surroundings
    made = make_script(graph, "main", surroundings) if is_script else make_module(graph, [*graph.targets], surroundings)
    assert made.value is not None, made.diagnostics
    return {("train.py" if is_script else "program.py"): made.value.text, **made.value.files}


def family_of(name: str) -> str | None:
    """`library/models/llama.yaml` for `library/models/llama/llama-4m.yaml`, and for examples."""
    parent = f"{name.rpartition('/')[0]}.yaml"
    if parent in NAMES and files_of(parent):
        return parent
    return "library/models/llama.yaml" if name.startswith("examples/") else None


def extended_by(name: str) -> str | None:
    """Returns the template that an example extends, of the library or its project; for a part, the project's first."""
    if not name.startswith("examples/"):
        return None
    folder, _, config = name.partition(":")
    text = (ROOT / folder / "templates/configs" / config).read_text(encoding="utf-8")
    extended = re.search(r"^-- extends '(.+)'$", text, re.MULTILINE)
    siblings = [each for each in NAMES if each.startswith(f"{folder}:")]
    own = extended[1].removeprefix("configs/") if extended else ""
    known = [each for each in (f"{folder}:{own}", f"library/{own}", siblings[0]) if each in NAMES]
    return known[0] if known[0] != name else None


def golden_files(name: str) -> dict[str, str]:
    """Returns what is checked in of a template."""
    files = dict(files_of(name))
    extended, family = extended_by(name), family_of(name)
    if extended is not None and "train.py" in files.keys() & files_of(extended).keys():
        files["train.diff"] = _difference(files_of(extended)["train.py"], files.pop("train.py"), extended, "example")
    modeling = next((path for path in files if "/modeling_" in path), None)
    if family is None or modeling is None:
        return files
    other = next(text for path, text in files_of(family).items() if "/modeling_" in path)
    files["modeling.diff"] = _difference(_nameless(other), _nameless(files.pop(modeling)), "family", "size")
    return {path: text for path, text in files.items() if not path.endswith("__init__.py")}


def _difference(old: str, new: str, of: str, what: str) -> str:
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), of, what, n=0)
    shown = ("@@\n" if line.startswith("@@") else line for line in lines)  # line numbers change for other reasons
    return "".join(shown) or "As that of its family, but for names.\n"


def _nameless(text: str) -> str:
    """A modeling file without its header and its model's name."""
    found = re.search(r"^from \.configuration_(\w+) import (\w+)Config$", text, re.MULTILINE)
    assert found is not None
    body = text.partition('."""\n')[2]
    return body.replace(found[1], "model").replace(found[2], "Model")


@pytest.mark.parametrize("name", NAMES)
def test_the_program_of_a_template_is_the_one_that_is_checked_in(name: str, request: pytest.FixtureRequest) -> None:
    folder, files = golden_folder(name), golden_files(name)
    if request.config.getoption("--update-golden"):
        for path in list(_files_in(folder)):
            path.unlink()
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    there = {str(path.relative_to(folder)) for path in _files_in(folder)} if files else set()
    assert there == set(files), f"`{name}` generates other files than {folder.relative_to(ROOT)} holds: {_HOW}"
    for path, text in files.items():
        if text != (folder / path).read_text(encoding="utf-8"):
            known = (folder / path).read_text(encoding="utf-8").splitlines(True)
            shown = "".join(difflib.unified_diff(known, text.splitlines(True), "checked in", "generated"))
            pytest.fail(f"`{path}` of `{name}` changed. If that is meant, {_HOW}.\n{shown}")


def _files_in(folder: Path) -> Iterator[Path]:
    """The files of one template: not those of its sizes, whose folders lie below that of the family."""
    others = {below for name in NAMES if folder in (below := golden_folder(name)).parents}
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and not others & set(path.parents):
            yield path


def test_nothing_is_checked_in_that_no_template_generates() -> None:
    folders = {golden_folder(name) for name in NAMES if files_of(name)}
    files = [path for path in GOLDEN.rglob("*") if path.suffix in (".py", ".diff")]
    orphans = [str(path.relative_to(ROOT)) for path in files if not folders & set(path.parents)]
    assert not orphans, f"these belong to no template that can be built: {orphans}; delete them"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All generated files in a folder of their own."""
    folder = tmp_path_factory.mktemp("golden")
    for name in NAMES:
        if name.startswith("examples/") or family_of(name) is None:
            for path, text in files_of(name).items():
                file = folder / golden_folder(name).relative_to(GOLDEN) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
    return folder


def _run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_ruff_finds_nothing_and_changes_nothing(texts: Path) -> None:
    roots = [str(path.parent) for path in texts.rglob("*.py") if path.name in ("train.py", "program.py")]
    options = ("--isolated", "--select", _RULES, "--ignore", _NOT_OURS, "--config", f"src = {roots}")
    assert _run(texts, "ruff", "check", *options, ".") == ""
    assert _run(texts, "ruff", "format", "--isolated", "--check", ".") == ""


@pytest.mark.slow
@pytest.mark.skipif(Version(version("transformers")) < Version("5.23"), reason="its outputs were typed as FloatTensor")
def test_mypy_finds_nothing(texts: Path, tmp_path: Path) -> None:
    for program in [*texts.rglob("train.py"), *texts.rglob("program.py")]:
        _as_modules(program, tmp_path / "generated", re.sub(r"\W", "_", str(program.parent.relative_to(texts))))
    config = tmp_path / "mypy.ini"
    config.write_text(_MYPY.format(folder=tmp_path))
    # from the root and with its cache: what mypy knows of torch and transformers is read and not made again, 40 s
    assert _run(ROOT, "mypy", "--config-file", str(config), "-p", "generated") == ""


def _as_modules(program: Path, folder: Path, name: str) -> None:
    """A program and its packages in a package with all others, under names of their own."""
    text = program.read_text(encoding="utf-8")
    for package in sorted(path.parent for path in program.parent.glob("*/__init__.py")):
        text = re.sub(rf"^(from|import) {package.name}\b", rf"\1 generated.{name}_{package.name}", text, flags=re.M)
        for file in package.rglob("*.py"):
            copy = folder / f"{name}_{package.name}" / file.relative_to(package)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / f"{name}_{program.stem}.py").write_text(text, encoding="utf-8")

"""Which modules a command loads: the budget of start-up time, held by counting modules and not by a clock."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "numpy", "starlette", "uvicorn", "datasets", "rich", "lark", "libcst", "black")
CONFIG = ROOT / "examples/tutorials/tiny_llama/templates/configs/tiny_llama.yaml"
_PROBE = """
import json, sys
from fgc.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""


READS_PYTHON = ("fgc.signatures", "fgc.emit", "fgc.passes")


def all_loaded_by(*argv: str) -> set[str]:
    """Modules that are loaded once a command has run."""
    result = subprocess.run([sys.executable, "-c", _PROBE, *argv], cwd=ROOT, capture_output=True, text=True, check=True)
    modules: set[str] = set(json.loads(result.stdout.splitlines()[-1]))
    return modules


def loaded_by(*argv: str) -> set[str]:
    """Top-level modules that are loaded once a command has run."""
    return {name.partition(".")[0] for name in all_loaded_by(*argv)}


def test_help_loads_no_stage_of_the_compiler() -> None:
    assert not loaded_by("--help") & {*HEAVY, "yaml", "jinja2"}


def test_asking_whether_a_build_is_fresh_compiles_nothing(tmp_path: Path) -> None:
    loaded_by("build", str(CONFIG), "-o", str(tmp_path / "out"))
    asked = ("-p", str(CONFIG.parents[2]), "check", "--generated", str(tmp_path / "out"))
    assert not loaded_by(*asked) & {*HEAVY, "yaml", "jinja2"}


@pytest.mark.parametrize("command", ["check", "pp", "graph", "targets"])
def test_commands_that_only_read_load_neither_the_emitter_nor_the_runtime(command: str) -> None:
    assert not loaded_by(command, str(CONFIG)) & set(HEAVY)


@pytest.mark.parametrize("command", ["ls", "tlist", "trefs", "meta", "index"])
def test_listings_load_neither_the_emitter_nor_the_runtime(command: str) -> None:
    project = str(CONFIG.parents[2])
    assert not loaded_by("-p", project, command, "--no-cache") & set(HEAVY)


@pytest.mark.parametrize("words", [("ls", "--no-cache"), ("index", "--no-cache"), ("pp", "--no-cache"), ("targets",)])
def test_what_lists_or_prints_templates_reads_no_python_file(words: tuple[str, ...]) -> None:
    assert not all_loaded_by("-p", str(CONFIG.parents[2]), *words) & set(READS_PYTHON)


def test_build_loads_no_part_of_what_it_compiles_for(tmp_path: Path) -> None:
    loaded = loaded_by("build", str(CONFIG), "-o", str(tmp_path / "out"))
    assert not loaded & {"torch", "transformers", "numpy", "starlette", "datasets", "lark", "fgc_runtime", "fgc_models"}
    assert (tmp_path / "out/train.py").is_file()


@pytest.mark.parametrize("command", ["client", "control", "evaluate", "generate", "serve", "verify"])
def test_help_of_what_the_runtime_runs_loads_no_torch(command: str) -> None:
    asked = f"import sys, fgc_runtime.{command}.__main__; print(*{{'torch', 'transformers'}} & {{*sys.modules}})"
    result = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert result.stdout == "\n"

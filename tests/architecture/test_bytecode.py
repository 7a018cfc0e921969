"""An editable install has bytecode, whether or not Python may write any when it runs."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def finalized(version: str, folder: Path) -> list[str]:
    """Names of the modules that have bytecode after a build of a project with one import root."""
    (folder / "compiler/package").mkdir(parents=True)
    (folder / "compiler/package/module.py").write_text("x = 1\n")
    (folder / "compiler/package/broken.py").write_text("x = \n")
    spec: Any = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    build: Any = SimpleNamespace(dev_mode_dirs=["compiler"])
    nothing: Any = None
    hook.BytecodeHook(str(folder), {}, build, nothing, "", "wheel").finalize(version, {}, "")
    return [path.name.partition(".")[0] for path in folder.rglob("*.pyc")]


def test_an_editable_install_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.pycache_prefix", None)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert finalized("editable", tmp_path) == ["module"]


def test_a_wheel_that_others_install_is_left_to_pip(tmp_path: Path) -> None:
    assert finalized("standard", tmp_path) == []

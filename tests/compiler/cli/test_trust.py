"""`fgc trust`: what it remembers and forgets, and that builds remember by themselves."""

import hashlib
from pathlib import Path

import pytest

from .conftest import Run


@pytest.fixture(autouse=True)
def record(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/fgc/generated"


def digests(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.py")}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_is_trusted_and_forgotten(run: Run, record: Path) -> None:
    Path("model").mkdir()
    Path("model/modeling_a.py").write_text("a = 1\n")
    result = run("trust", "model")
    assert (result.code, result.out) == (0, "trusted: model/modeling_a.py\n")
    assert names(record) == digests(Path("model")) and record.stat().st_mode & 0o777 == 0o700
    assert run("trust", "--forget", "model").out == "forgotten: model/modeling_a.py\n"
    assert names(record) == set()


def test_what_cannot_be_trusted(run: Run) -> None:
    Path("empty").mkdir()
    assert "has no Python files" in run("trust", "empty").err
    assert "is not a folder" in run("trust", "absent").err


def test_a_build_remembers_the_model_package_and_nothing_else(run: Run, record: Path) -> None:
    Path("m.yaml").write_text("-- extends 'models/llama.yaml'\n")
    assert run("build", "m.yaml", "--target", "model", "-o", "o").code == 0
    package = next(Path("o").glob("*/configuration_*.py")).parent
    assert names(record) == digests(package)

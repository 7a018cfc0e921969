"""Runs command lines in process, with a cache of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fgc.cli.main import main


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `fgc` in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)  # parallel test processes have it

    def call(*argv: str) -> Result:
        code = main(argv)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def project(run: Run) -> Path:
    """A workspace with one project of two configurations that inherit a misspelt block."""
    files = {
        "forgather_workspace/x": "",
        "p/meta.yaml": "name: P\n",
        "p/templates/base.yaml": "[optimizer]\nlr: 1\n",
        "p/templates/middle.yaml": "-- extends 'base.yaml'\n[optimzer]\nlr: 2\n",
        "p/templates/configs/a.yaml": "-- extends 'middle.yaml'\n",
        "p/templates/configs/b.yaml": "-- extends 'middle.yaml'\n",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    return Path("p")

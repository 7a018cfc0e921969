"""`fgc inf`: which server and client its words become."""

import os
from pathlib import Path

import pytest

from .conftest import Run


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What this process would have become."""
    found: list[list[str]] = []

    def become(_: str, words: list[str]) -> int:
        found.append(words[1:])
        return 0

    monkeypatch.setattr(os, "execv", become)
    return found


def test_words_of_the_reference_name_the_same_server(run: Run, became: list[list[str]]) -> None:
    for step in (5, 10):
        Path(f"run/checkpoints/checkpoint-{step}").mkdir(parents=True)
    for words in (("run",), ("-m", "run"), ("-m", "run", "-c"), ("--port", "1", "-c", "other")):
        assert run("inf", "server", *words).code == 0
    assert became == [
        ["-P", "-m", "fgc_runtime.serve", "run"],
        ["-P", "-m", "fgc_runtime.serve", "run"],
        ["-P", "-m", "fgc_runtime.serve", "run/checkpoints/checkpoint-10"],
        ["-P", "-m", "fgc_runtime.serve", "other", "--port", "1"],
    ]


def test_the_client_gets_its_words(run: Run, became: list[list[str]]) -> None:
    run("inf", "client", "--message", "-p x")
    assert became == [["-P", "-m", "fgc_runtime.client", "--message", "-p x"]]


def test_what_is_missing_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "name the run's folder" in run("inf", "server", "-c").err
    assert "no checkpoints in" in run("inf", "server", "-m", "nowhere", "-c").err
    with pytest.raises(SystemExit, match="2"):
        run("inf", "sever")
    monkeypatch.setattr("fgc.cli.commands.inf.package_folder", lambda name: None)
    assert "pip install 'fgc[client]'" in run("inf", "client").err

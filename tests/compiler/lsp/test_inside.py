"""The server asked within this process: random edits with every question, and what a client never sees."""

import asyncio
import logging
import random
from pathlib import Path

import pytest
from fgc.lsp import server as lsp_server

from tests.compiler.ide.test_navigation import BASE, PROJECT, SMALL
from tests.compiler.ide.tree import FILES, make_tree
from tests.compiler.lsp.edits import ask_all, edited
from tests.compiler.lsp.inside import InsideClient


def test_any_edit_has_answers_that_a_client_can_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer run is `tests/benchmarks/fuzz_editor.py`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lsp_server, "_DELAY_S", 0)
    make_tree(tmp_path)

    async def conversation() -> None:
        client, chance = InsideClient(tmp_path), random.Random(11)
        before = {name: [FILES[name]] for name in (SMALL, PROJECT, BASE)}
        for _ in range(10):
            name = chance.choice([*before])
            before[name].append(edited(chance, before[name][-1], before[name], [*FILES.values()]))
            client.change(tmp_path / name, before[name][-1])
            await client.checked()
            ask_all(client, tmp_path / name, chance, 0.3)

    asyncio.run(conversation())


def test_a_refusal_is_no_fault_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    make_tree(tmp_path)

    async def conversation() -> str:
        client = InsideClient(tmp_path)
        client.change(tmp_path / SMALL, FILES[SMALL])
        place = {"line": 3, "character": 0}
        answer = client.ask(
            "textDocument/prepareRename", {"textDocument": {"uri": (tmp_path / SMALL).as_uri()}, "position": place}
        )
        await client.checked()
        return str(answer)

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(conversation()) == "there is no name here"
    assert caplog.records == []


def test_a_hover_about_another_place_of_the_line_has_no_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VS Code hides a hover whose range is not under the pointer."""
    monkeypatch.chdir(tmp_path)
    make_tree(tmp_path)

    async def conversation() -> list[object]:
        client = InsideClient(tmp_path)
        client.change(tmp_path / PROJECT, FILES[PROJECT])
        here = {"textDocument": {"uri": (tmp_path / PROJECT).as_uri()}}
        places = [{"line": 0, "character": character} for character in (4, 15)]  # `extends`, and in the name
        found = [client.ask("textDocument/hover", {**here, "position": place}) for place in places]
        await client.checked()
        return [answer.get("range") for answer in found]

    there = {"start": {"line": 0, "character": 12}, "end": {"line": 0, "character": 21}}
    assert asyncio.run(conversation()) == [None, there]

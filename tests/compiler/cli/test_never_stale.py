"""Whatever is edited, with a cache or without: the answer is the same."""

import random
from collections.abc import Callable
from pathlib import Path

from .conftest import Run

COMMANDS = (("ls", "-r"), ("check", "p"), ("-p", "p", "pp"), ("-p", "p", "tlist"))
TEXTS = ("x: 1\n", "x: 2\n", "-- include 'b.yaml'\n", "x: {{ 1 }}\n", "x: {{ a }}\n", "x: *y\n", "\x00", "")
NAMES = ("a.yaml", "b.yaml", "configs/c.yaml", "configs/d/e.yaml", "configs/f.yaml")


def _write(draw: random.Random) -> None:
    path = Path(draw.choice(("p/own", "p/shared")), draw.choice(NAMES))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draw.choice(TEXTS), encoding="utf-8")


def _remove(draw: random.Random) -> None:
    files = sorted(Path("p").rglob("*.yaml"))
    if len(files) > 2:
        draw.choice(files).unlink()


def _settings(draw: random.Random) -> None:
    Path("pyproject.toml").write_text(draw.choice(("", "[tool.fgc.check]\nignore = ['FGC2']\n", "[tool.fgc.check]\n")))


def _describe(draw: random.Random) -> None:
    searchdir = draw.choice(("[own, shared]", "[shared, own]", "[own]"))
    Path("p/meta.yaml").write_text(f"name: {draw.choice('PQ')}\nsearchdir: {searchdir}\n")


EDITS: tuple[Callable[[random.Random], None], ...] = (_write, _write, _write, _remove, _settings, _describe)


def test_what_is_kept_is_what_is_computed(run: Run) -> None:
    draw = random.Random(7)
    Path("forgather_workspace").mkdir()
    Path("p").mkdir()
    _describe(draw)
    for _ in range(50):
        draw.choice(EDITS)(draw)
        words = draw.choice(COMMANDS)
        assert run(*words) == run(*words, "--no-cache")

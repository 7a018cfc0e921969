"""Random edits of a tree's templates through the language server: exceptions, places outside of texts, stale answers.

    python -m tests.benchmarks.fuzz_editor TREE --edits 20000 --seed 1 --log FILE

After every edit findings are told, and a part of all other questions is asked at a random place. After a file's edits
a second server that saw only the last text must answer the same. A run goes on where its log ends.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from fgc.lsp import server as lsp_server
from fgc.text import TEMPLATE_SUFFIXES
from pygls.uris import from_fs_path

from tests.compiler.lsp.edits import ask_all, edited
from tests.compiler.lsp.inside import InsideClient

_PER_FILE = 25
_SHARE = 0.15
_LIMIT_S = 10.0  # of CPU time, for one edit and all its questions


class TooSlow(BaseException):
    """An answer that takes too long; no handler of a server catches this."""


def main() -> int:
    """Prints each mistake and the figures; 1 if there is a mistake."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--fresh", type=float, default=0.2, help="the share of files that a second server reads too")
    arguments = parser.parse_args()
    lsp_server._DELAY_S = 0
    signal.signal(signal.SIGVTALRM, _too_slow)
    os.chdir(arguments.tree)
    return asyncio.run(_run(Path.cwd(), arguments))


def _too_slow(number: int, frame: Any) -> None:
    raise TooSlow


async def _run(tree: Path, arguments: argparse.Namespace) -> int:
    files = sorted(path for path in tree.rglob("*") if path.suffix in TEMPLATE_SUFFIXES and path.is_file())
    log: Path | None = arguments.log
    done = [json.loads(line) for line in log.read_text().splitlines()] if log is not None and log.exists() else []
    counts = Counter({"edits": sum(one["edits"] for one in done), "wrong": sum(len(one["wrong"]) for one in done)})
    client = InsideClient(tree)
    while counts["edits"] < arguments.edits:
        number = len(done)
        chance = random.Random(f"{arguments.seed} {number}")
        path = chance.choice(files)
        started = time.process_time()
        edits, wrong = await _round(client, path, files, chance, arguments.fresh)
        if wrong:
            client = InsideClient(tree)
        taken = time.process_time() - started
        done.append({"file": str(path.relative_to(tree)), "edits": edits, "wrong": wrong, "seconds": round(taken, 2)})
        counts += {"edits": edits, "wrong": len(wrong)}
        if log is not None:
            with log.open("a") as out:
                out.write(json.dumps(done[-1]) + "\n")
        for one in wrong:
            print(f"round {number}, {path}: {one}", file=sys.stderr, flush=True)
        if number % 20 == 0:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{counts['edits']} edits, {counts['wrong']} wrong, {memory} MB", flush=True)
    print(f"{counts['edits']} edits of {len(files)} files, {counts['wrong']} wrong")
    return int(counts["wrong"] > 0)


async def _round(
    client: InsideClient, path: Path, files: list[Path], chance: random.Random, fresh: float
) -> tuple[int, list[str]]:
    """Edits a file some times, sometimes another beside it; returns how often, and what was wrong."""
    others = [_read(other) for other in chance.sample(files, min(3, len(files)))]
    opened = [path] + ([chance.choice(files)] if chance.random() < 0.3 else [])
    before = {file: [_read(file)] for file in opened}
    for step in range(_PER_FILE):
        file = path if chance.random() < 0.8 else opened[-1]
        text = edited(chance, before[file][-1], before[file], others)
        before[file].append(text)
        signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT_S)
        try:
            client.change(file, text)
            if chance.random() < 0.3:
                ask_all(client, file, chance, 0.1)  # before the findings are there
            await client.checked()
            ask_all(client, file, chance, _SHARE)
        except (Exception, TooSlow):
            return step + 1, [f"step {step}, {file}: {traceback.format_exc()}\n{text!r}"]
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    wrong = []
    if chance.random() < fresh:
        wrong = await _stale(client, before)
    for file in {*opened} & {Path(name) for name in client.server.editor.open_files()}:
        with contextlib.suppress(KeyError):
            client.close_file(file)
    await client.checked()
    return _PER_FILE, wrong


async def _stale(client: InsideClient, before: dict[Path, list[str]]) -> list[str]:
    """Returns the answers in which a server that saw only the last texts differs."""
    other = InsideClient(Path.cwd())
    for path in reversed(client.server.editor.open_files()):
        other.change(Path(path), client.text(from_fs_path(path) or ""))
    await other.checked()
    wrong = []
    for uri in {*client.findings, *other.findings}:
        old, new = ({json.dumps(one, sort_keys=True) for one in c.findings.get(uri, [])} for c in (client, other))
        if old != new:
            wrong.append(f"stale findings of {uri}: {sorted(old ^ new)[:3]}")
    for path in before:
        uri = from_fs_path(str(path)) or ""
        here = {"textDocument": {"uri": uri}}
        for name in ("documentSymbol", "semanticTokens/full", "documentLink", "codeLens", "foldingRange"):
            answers = [one.ask(f"textDocument/{name}", here) for one in (client, other)]
            if answers[0] != answers[1]:
                wrong.append(f"stale {name} of {uri}: {answers}"[:3000])
        for line in range(0, client.text(uri).count("\n"), 7):
            there = {**here, "position": {"line": line, "character": 3}}
            for name in ("hover", "definition", "completion"):
                answers = [one.ask(f"textDocument/{name}", there) for one in (client, other)]
                if answers[0] != answers[1]:
                    wrong.append(f"stale {name} at {there}: {answers}"[:3000])
    return wrong


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())

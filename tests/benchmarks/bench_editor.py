"""The editor's answers on a real tree: latencies in CPU time, memory, how many places have an answer.

    python tests/benchmarks/bench_editor.py TREE [--configs 12] [--seed 7]

Goals: first findings 2 s after the start, findings after a keystroke 0.1 s, completion and hover 0.05 s (medians), 300
MB. `fuzz_editor.py` tries random edits.
"""

import argparse
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fgc import ide

T = TypeVar("T")


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--configs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    os.chdir(arguments.tree)
    chance = random.Random(arguments.seed)
    root = Path.cwd()
    config = str(chance.choice(sorted(root.rglob("templates/configs/*.yaml"))))
    editor, first = _timed(lambda: _opened(root, config))
    print(f"first findings of {os.path.relpath(config, root)}: {first:.2f} s")
    configs, listed = _timed(lambda: sorted(editor.families.configurations()))
    print(f"{len(configs)} configurations: {listed:.2f} s; memory {_memory_mb():.0f} MB")
    _latencies(editor, chance.sample(configs, min(arguments.configs, len(configs))), chance)
    print(f"memory {_memory_mb():.0f} MB")
    return 0


def _opened(root: Path, config: str) -> ide.Editor:
    editor = ide.Editor([root])
    editor.open(Path(config), editor.source(config).text)
    editor.findings(config)
    return editor


def _latencies(editor: ide.Editor, configs: list[str], chance: random.Random) -> None:
    """Prints the latencies over configurations and positions, and how many positions have an answer."""
    times: dict[str, list[tuple[float, str]]] = {}
    shown = hit = asked = places = blank = 0

    def timed(what: str, where: str, question: Callable[[], T]) -> T:
        answer, duration = _timed(question)
        times.setdefault(what, []).append((duration, where))
        return answer

    for config in configs:
        text, name = editor.source(config).text, os.path.relpath(config)
        editor.open(Path(config), text)
        timed("findings of a file that is opened", name, lambda config=config: editor.findings(config))
        for at in [len(text), *(chance.randrange(len(text) + 1) for _ in range(3))]:
            editor.open(Path(config), f"{text[:at]}\n{text[at:]}")
            timed("findings after a keystroke", f"{name} at {at}", lambda config=config: editor.findings(config))
        editor.open(Path(config), text)
        base = [*editor.families.closure(config).paths][-1]
        editor.open(Path(base), f"{editor.source(base).text}\n")
        where = f"{name}, {os.path.relpath(base)}"
        timed("findings after a keystroke far above", where, lambda config=config: editor.findings(config))
        editor.close(Path(base))
        for mark in editor.families.marks(config):
            asked += 1
            hit += bool(ide.definitions(editor, config, mark.span.start))
        for _ in range(20):
            offset = chance.randrange(len(text) + 1)
            where = f"{name} at {offset}"
            found = timed("hover", where, lambda c=config, offset=offset: ide.hover(editor, c, offset))
            shown += found is not None
            blank += found is None and _is_blank(text, offset)
            places += 1
            timed("completion", where, lambda c=config, offset=offset: ide.complete(editor, c, offset))
        editor.close(Path(config))
    for what, found in times.items():
        _print_times(what, sorted(found))
    print(f"{shown} of {places} random places have a hover, {blank} others are blank or comments")
    print(f"{hit} of {asked} names have a definition")


def _print_times(what: str, found: list[tuple[float, str]]) -> None:
    milliseconds = [1000 * duration for duration, _ in found]
    late = milliseconds[int(0.95 * (len(found) - 1))]
    print(f"{what}: median {statistics.median(milliseconds):.0f} ms, 95% {late:.0f} ms")
    for duration, where in found[-3:][::-1]:
        print(f"    {1000 * duration:.0f} ms: {where}")


def _is_blank(text: str, offset: int) -> bool:
    """Returns True where there is nothing to say: white space, the end of a line, a comment."""
    line = text[text.rfind("\n", 0, offset) + 1 : offset + 1]
    return not text[offset : offset + 1].strip() or line.lstrip().startswith("#") or " #" in line


def _timed(question: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    answer = question()
    return answer, time.process_time() - started


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())

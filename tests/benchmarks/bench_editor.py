"""The editor's answers on a real tree: latencies in CPU time, memory, and random edits.

    python tests/benchmarks/bench_editor.py TREE [--edits 20000] [--seed 7]

Goals: first findings 2 s after the start, findings after a keystroke 0.1 s, completion and hover 0.05 s (medians), 300
MB. Every random edit must have answers whose places lie in the text. Several processes with seeds of their own, each
on a copy of the tree, share the edits.
"""

import argparse
import os
import random
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from fgc import ide
from fgc.text import Span

T = TypeVar("T")
_BITS = (
    "-- ",
    "[",
    "]",
    "{{",
    "}}",
    "!partial:",
    "&a",
    "*a",
    '"',
    "'",
    "\n",
    "\t",
    "𝛼",
    "é",
    "    ",
    ":",
    "super()",
    "#",
)


def main() -> int:
    """Prints the figures; 1 if an answer lies outside of its text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--edits", type=int, default=0)
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
    _latencies(editor, configs, chance)
    print(f"memory {_memory_mb():.0f} MB")
    return _edits(editor, configs, chance, arguments.edits) if arguments.edits else 0


def _opened(root: Path, config: str) -> ide.Editor:
    editor = ide.Editor([root])
    editor.open(Path(config), editor.source(config).text)
    editor.findings(config)
    return editor


def _latencies(editor: ide.Editor, configs: list[str], chance: random.Random) -> None:
    """Prints the medians over open configurations and positions, and how many positions have an answer."""
    keystrokes, base_keystrokes, hovers, completions = [], [], [], []
    shown = hit = asked = blank = 0
    for config in chance.sample(configs, min(12, len(configs))):
        text = editor.source(config).text
        editor.open(Path(config), text)
        editor.findings(config)
        editor.open(Path(config), f"{text}\n")
        keystrokes.append(_timed(lambda config=config: editor.findings(config))[1])
        base = [*editor.families.closure(config).paths][-1]
        before = editor.source(base).text
        editor.open(Path(base), f"{before}\n")
        base_keystrokes.append(_timed(lambda config=config: editor.findings(config))[1])
        editor.close(Path(base))
        for mark in editor.families.marks(config):
            asked += 1
            hit += bool(ide.definitions(editor, config, mark.span.start))
        for _ in range(20):
            offset = chance.randrange(len(text) + 1)
            found, duration = _timed(lambda config=config, offset=offset: ide.hover(editor, config, offset))
            shown += found is not None
            blank += found is None and _is_blank(text, offset)
            hovers.append(duration)
            completions.append(_timed(lambda c=config, offset=offset: ide.complete(editor, c, offset))[1])
        editor.close(Path(config))
    for name, found in (
        ("findings after a keystroke", keystrokes),
        ("findings after a keystroke in a template far above", base_keystrokes),
        ("hover", hovers),
        ("completion", completions),
    ):
        print(f"{name}: median {statistics.median(found) * 1000:.0f} ms, most {max(found) * 1000:.0f} ms")
    places = f"{shown} of {len(hovers)} random places have a hover, {blank} others are blank or comments"
    print(f"{places}; {hit} of {asked} names have a definition")


def _is_blank(text: str, offset: int) -> bool:
    """Returns True where there is nothing to say: white space, the end of a line, a comment."""
    line = text[text.rfind("\n", 0, offset) + 1 : offset + 1]
    return not text[offset : offset + 1].strip() or line.lstrip().startswith("#") or " #" in line


def _edits(editor: ide.Editor, configs: list[str], chance: random.Random, count: int) -> int:
    """Edits texts at random and asks everything; 1 if an answer fails, or a place lies outside of its text."""
    wrong = done = 0
    files = editor.families.sources(editor.families.closure(config) for config in configs)
    files = [file for file in files if Path(file).is_relative_to(Path.cwd())]
    started = time.process_time()
    while done < count:
        path = chance.choice(files)
        for _ in range(min(count - done, 25)):
            done += 1
            text = editor.source(path).text
            start = chance.randrange(len(text) + 1)
            end = min(len(text), start + chance.choice((0, 0, 1, 5)))
            text = text[:start] + chance.choice(_BITS) + text[end:]
            editor.open(Path(path), text)
            offset = chance.randrange(len(text) + 1)
            problems = [*_problems(editor, path, offset)]
            wrong += len(problems)
            for problem in problems:
                print(f"edit {done}, {path} at {offset}: {problem}", file=sys.stderr)
        editor.close(Path(path))
        if done % 500 == 0:
            print(
                f"{done} edits, {wrong} wrong, {time.process_time() - started:.0f} s, {_memory_mb():.0f} MB", flush=True
            )
    print(f"random edits: {done}, {wrong} wrong; {time.process_time() - started:.0f} s of CPU time")
    return int(wrong > 0)


def _problems(editor: ide.Editor, path: str, offset: int) -> Iterator[str]:
    try:
        for span in _answers(editor, path, offset):
            if not 0 <= span.start <= span.end <= len(span.source.text):
                yield f"{span.start} to {span.end} lies outside of {span.source.display_name}"
    except Exception:
        yield traceback.format_exc()


def _answers(editor: ide.Editor, path: str, offset: int) -> list[Span]:
    hover = ide.hover(editor, path, offset)
    spans = [] if hover is None else [hover.span]
    spans += ide.definitions(editor, path, offset)
    spans += [item.span for item in ide.complete(editor, path, offset)]
    spans += [token.span for token in ide.tokens(editor, path)] + ide.selections(editor, path, offset)
    spans += [finding.span for found in editor.findings(path).values() for finding in found]
    spans += [symbol.whole for symbol in ide.symbols(editor, path)]
    ide.foldings(editor, path)
    return spans


def _timed(question: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    answer = question()
    return answer, time.process_time() - started


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())

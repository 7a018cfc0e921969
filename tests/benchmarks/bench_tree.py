"""CPU time of the compiler on a whole tree of projects, cold and warm, beside another command line if one is given.

    python tests/benchmarks/bench_tree.py TREE [--other COMMAND] [--project FOLDER] [--repeat 3]

TREE is a clone of a tree of projects, such as that of the language's origin; COMMAND is what reads the same tree, such
as the command of an environment in which that origin is installed. FOLDER, in TREE, is the project on which the
commands for one configuration run. Prints seconds of CPU time, the least of all rounds: cold (an empty cache), warm
(the same again), after an edit of one configuration, and the ratio to the other. Runs in turn, since a machine's speed
changes. Leaves TREE as it was.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

FGC = str(Path(sys.executable).with_name("fgc"))
OF_TREE = (["ls", "-r"], ["check", "."])
OF_PROJECT = (["ls"], ["tlist"], ["trefs"], ["index"], ["meta"], ["pp"], ["graph"], ["targets"], ["check"])
ONLY_OURS = ("check", "targets")  # the other command line has nothing of the kind


def seconds(words: list[str], folder: Path, cache: Path) -> float:
    """CPU seconds of a command, in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "FGC_CACHE_DIR": str(cache)}
    subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def edited(words: list[str], folder: Path, cache: Path, file: Path) -> float:
    """CPU seconds after one configuration has changed, which then is as it was."""
    before = file.read_bytes()
    try:
        file.write_bytes(before + b"\n")
        return seconds(words, folder, cache)
    finally:
        file.write_bytes(before)


def measure(words: list[str], folder: Path, arguments: argparse.Namespace) -> str:
    """A line of the table."""
    configuration = next((folder / "templates/configs").glob("*.yaml"), None) or next(folder.rglob("configs/*.yaml"))
    cold, warm, changed, other = [], [], [], []
    for _ in range(arguments.repeat):
        with tempfile.TemporaryDirectory() as name:
            cold.append(seconds([FGC, *words], folder, Path(name)))
            warm.append(seconds([FGC, *words], folder, Path(name)))
            changed.append(edited([FGC, *words], folder, Path(name), configuration))
            if arguments.other and words[0] not in ONLY_OURS:
                other.append(seconds([*arguments.other.split(), *words], folder, Path(name)))
    line = f"{' '.join(words):<12}{min(cold):8.2f}{min(warm):8.2f}{min(changed):8.2f}"
    return line + (f"{min(other):8.2f}{min(cold) / min(other):8.2f}{min(warm) / min(other):8.3f}" if other else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--other", metavar="COMMAND")
    parser.add_argument("--project", type=Path, default=Path("examples/tutorials/tiny_llama"), metavar="FOLDER")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'':<12}{'cold':>8}{'warm':>8}{'edited':>8}{'other':>8}{'ratio':>8}{'warm':>8}")
    for words in OF_TREE:
        print(measure(words, arguments.tree, arguments), flush=True)
    for words in OF_PROJECT:
        print(measure(words, arguments.tree / arguments.project, arguments), flush=True)


if __name__ == "__main__":
    main()

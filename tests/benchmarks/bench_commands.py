"""Wall and CPU time of every command, cold: medians of five runs with an empty cache, and which heavy modules load.

    python tests/benchmarks/bench_commands.py [--runs 5] [--projects 40]

Run it on a quiet machine; the first line says how loaded it was. Commands that construct objects or start trainings are
left out, apart from `train --dry-run`. The last rows list generated projects.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples/tutorials/tiny_llama"
HEAVY = ("torch", "transformers", "numpy", "starlette", "datasets", "rich", "lark", "libcst", "black", "jinja2", "yaml")
COMMANDS = (
    "--help",
    "ls",
    "ls --format json",
    "index",
    "meta",
    "tlist",
    "tlist --format md",
    "pp",
    "trefs",
    "trefs --format svg",
    "targets",
    "graph",
    "code",
    "check",
    "explain optimizer.lr",
    "explain FGC204",
    "fmt --check .",
    "build -o OUT",
    "check --generated OUT",
    "where OUT/train.py:40",
    "diff tiny_llama.yaml OUT",
    "model",
    "runs",
    "train --dry-run",
    "checkpoint list",
    "tb --dry-run",
    "completion bash",
    "completion configs",
    "inf --help",
    "inf client --help",
    "control list",
)
_PROBE = """
import json, sys
from fgc.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("\\n" + json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--projects", type=int, default=40)
    options = parser.parse_args()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"load {load} on {os.cpu_count()} cores; Python {sys.version.split()[0]}; seconds of wall time, of CPU time")
    print(f"{'an empty interpreter':<34}{shown(measure([sys.executable, '-c', 'pass'], ROOT, options.runs))}")
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            words = command.replace("OUT", f"{folder}/out").split()
            times = measure([sys.executable, "-m", "fgc", *words], PROJECT, options.runs)
            print(f"{command:<34}{shown(times)}   {', '.join(heavy_modules(words)) or '-'}", flush=True)
        many = Path(folder) / "many"
        generate(many, options.projects)
        for name, is_cold in (("cold", True), ("cached", False)):
            times = measure([sys.executable, "-m", "fgc", "ls", "-r"], many, options.runs, is_cold=is_cold)
            print(f"{f'ls -r, {options.projects} projects, {name}':<34}{shown(times)}")


def shown(times: tuple[float, float]) -> str:
    return "".join(f"{time_s:>8.3f}" for time_s in times)


def measure(command: list[str], folder: Path, runs: int, *, is_cold: bool = True) -> tuple[float, float]:
    """Median seconds of wall and CPU time. Python's own byte code is warm, fgc's cache is not if `is_cold`."""
    times: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as kept:
        for _ in range(runs + (not is_cold)):
            with tempfile.TemporaryDirectory() as fresh:
                environment = {**os.environ, "FGC_CACHE_DIR": fresh if is_cold else kept}
                begin_s, used = time.perf_counter(), os.times()
                subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
                now = os.times()
                cpu_s = now.children_user + now.children_system - used.children_user - used.children_system
                times.append((time.perf_counter() - begin_s, cpu_s))
    wall_s, cpu_s = zip(*times[0 if is_cold else 1 :], strict=True)
    return statistics.median(wall_s), statistics.median(cpu_s)


def heavy_modules(words: list[str]) -> list[str]:
    """Which of the heavy modules a command loads; those of a program that it becomes do not count."""
    with tempfile.TemporaryDirectory() as fresh:
        environment = {**os.environ, "FGC_CACHE_DIR": fresh}
        command = [sys.executable, "-c", _PROBE, *words]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    try:
        loaded = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return ["becomes another program"]
    return [name for name in HEAVY if name in loaded]


def generate(folder: Path, count: int) -> None:
    """A workspace of projects as `fgc ws project` makes them."""
    folder.mkdir()
    fgc = [sys.executable, "-m", "fgc", "ws"]
    subprocess.run([*fgc, "init", "--name", "Many"], cwd=folder, check=True, capture_output=True)
    for number in range(count):
        words = [*fgc, "project", "--name", f"Project {number}"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    main()

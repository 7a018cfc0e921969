"""How long the compiler takes on an example: build, check, pp and check --generated, each in a process of its own.

    python tests/benchmarks/bench_compiler.py [--repeat 5] [CONFIG]

Prints the median wall time and CPU time in milliseconds, cold (no cache of answers or signatures) and warm, and the
size of what a build writes. Without CONFIG it is the example with the longest chain of templates.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEEPEST = ROOT / "examples/tutorials/tiny_llama/templates/configs/tiny_llama.yaml"
FGC = str(Path(sys.executable).with_name("fgc"))


def timed(words: list[str], cache: Path) -> tuple[float, float]:
    """Wall and CPU milliseconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    environment = {**os.environ, "FGC_CACHE_DIR": str(cache)}
    subprocess.run([FGC, *words], cwd=ROOT, env=environment, capture_output=True, check=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1000, cpu * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default=str(DEEPEST))
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = str(folder / "out")
        project = str(Path(arguments.config).parents[2])
        commands = {
            "build": ["build", arguments.config, "-o", out],
            "check": ["check", arguments.config],
            "pp": ["pp", arguments.config],
            "check --generated": ["-p", project, "check", "--generated", out],
        }
        print(f"{'command':<20}{'cold wall':>11}{'cold CPU':>11}{'warm wall':>11}{'warm CPU':>11}   (ms, median)")
        for title, words in commands.items():
            cold = [timed(words, folder / f"cold-{title}-{number}") for number in range(arguments.repeat)]
            warm = [timed(words, folder / "warm") for _ in range(arguments.repeat + 1)][1:]
            columns = [statistics.median(run[part] for run in runs) for runs in (cold, warm) for part in (0, 1)]
            print(f"{title:<20}" + "".join(f"{column:11.0f}" for column in columns))
        for path in sorted(Path(out).rglob("*")):
            if path.is_file():
                text = path.read_text(encoding="utf-8")
                print(f"{path.relative_to(out)!s:<45}{len(text.encode()):>8} bytes{text.count(chr(10)):>6} lines")


if __name__ == "__main__":
    main()

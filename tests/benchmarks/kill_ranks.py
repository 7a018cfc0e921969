"""Kills one of two processes of a training at random points, resumes with two, and compares with a run without a break.

    python tests/benchmarks/kill_ranks.py [--kills 8] [--steps 10] [--seed 0] [--program PROGRAM]

`kill -9` comes on rank 0 or 1: before a step, between backward and the optimizer, behind it, in an evaluation, or while
a file of a checkpoint is written. The other process must end by itself. Losses, weights, optimizer, counters and random
states of the last checkpoint must be those of the straight run, bit for bit. Exit code 1 if not.
"""

import argparse
import multiprocessing
import os
import random
import re
import shutil
import socket
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import fgc_runtime.script  # noqa: F401 -- processes are forked from this one
import transformers.models.llama.modeling_llama  # noqa: F401
from fgc_runtime.verify.compare import differences
from fgc_runtime.verify.trials import Outcome, run_program

WORLD_SIZE = 2
PROGRAM = Path(__file__).parents[1] / "runtime/programs/dropout.py"


class Fatal(NamedTuple):
    """Where a run is killed."""

    rank: int
    point: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=PROGRAM)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fgc-kill-ranks-"))
    try:
        return trials(options, folder)
    finally:
        shutil.rmtree(folder)


def trials(options: argparse.Namespace, folder: Path) -> int:
    """A straight run, then the kills; the exit code."""
    choose = random.Random(options.seed)
    straight = run(options, folder / "straight")
    if any(outcome.failed or not outcome.kinds for outcome in straight):
        print(f"the straight run failed: {straight}")
        return 1
    num_equal = 0
    for number in range(options.kills):
        place = folder / f"trial-{number}"
        rank = choose.randrange(WORLD_SIZE)
        kinds = straight[rank].kinds
        kind = choose.choice(sorted(set(kinds)))
        point = choose.choice([position for position, found in enumerate(kinds, 1) if found == kind])
        begin_s = time.monotonic()
        killed = run(options, place, fatal=Fatal(rank, point))
        dead_s = time.monotonic() - begin_s
        found = verdict(killed, rank, run(options, place, resume=True))
        found = found or differences(last(folder / "straight", options), last(place, options))
        num_equal += not found
        where = f"rank {rank} killed {killed[rank].killed} ({dead_s:.1f} s), {resumption(place)}"
        print(f"{where}: {'; '.join(found) or 'equal'}", flush=True)
    print(f"{num_equal} of {options.kills} runs of {WORLD_SIZE} processes are the straight one, bit for bit")
    return int(num_equal < options.kills)


def resumption(folder: Path) -> str:
    """From where it went on."""
    found = re.search(r"^Resuming at step \d+", (folder / "output.txt").read_text(), re.MULTILINE)
    return found[0].lower() if found else "begun anew"


def verdict(killed: list[Outcome], rank: int, resumed: list[Outcome]) -> list[str]:
    """What did not go as it must."""
    found = [] if killed[rank].killed else [f"rank {rank} was not killed: {killed[rank].failed}"]
    found += [] if killed[1 - rank].failed else [f"rank {1 - rank} did not notice"]
    return found + [outcome.failed for outcome in resumed if outcome.failed]


def run(
    options: argparse.Namespace, folder: Path, *, resume: bool = False, fatal: Fatal | None = None
) -> list[Outcome]:
    """How each rank ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ProcessPoolExecutor(WORLD_SIZE, multiprocessing.get_context("fork")) as pool:
        ends = [pool.submit(run_rank, rank, port, options, folder, resume, fatal) for rank in range(WORLD_SIZE)]
        return [end.result() for end in ends]


def run_rank(
    rank: int, port: int, options: argparse.Namespace, folder: Path, resume: bool, fatal: Fatal | None
) -> Outcome:
    """One process of the run, as torchrun would start it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"WORLD_SIZE": str(WORLD_SIZE), "LOCAL_WORLD_SIZE": str(WORLD_SIZE), "OMP_NUM_THREADS": "1"}
    arguments = {
        "max_steps": options.steps,
        "logging_dir": None,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": max(1, options.steps // 5),
        "save_total_limit": 2,
        "eval_steps": max(1, options.steps // 4),
        "max_eval_steps": 3,
    }
    point = fatal.point if fatal is not None and fatal.rank == rank else None
    return run_program(options.program, folder, arguments, resume=resume, fatal=point)


def last(folder: Path, options: argparse.Namespace) -> Path:
    """The last checkpoint of a run."""
    return folder / f"checkpoints/checkpoint-{options.steps}"


if __name__ == "__main__":
    sys.exit(main())

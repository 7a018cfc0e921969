"""Train a few steps straight, then with kills at random points and resumes, and compare the two bit by bit.

PROGRAM is the folder of a build, or a program. It runs on one process, for a few steps, with checkpoints, evaluations
and logs close together; everything is written to a temporary folder. It can be killed at each step, at each batch of an
evaluation and at each file of a checkpoint. Exit code 0: all equal; 1: something differs; 2: it could not run.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fgc_runtime.verify.compare import differences, losses
from fgc_runtime.verify.trials import Outcome, run_program

_EXAMPLES = """\
examples:
  fgc verify-resume out
  fgc verify-resume out --steps 30 --kills 100 --seed 3
"""
_MOST_KILLS_OF_A_TRIAL = 2  # so that resumed runs are killed too


class Verification:
    """The trials of one program."""

    def __init__(self, program: Path, folder: Path, steps: int, seed: int) -> None:
        self._program = program
        self._folder = folder
        self._steps = steps
        self._random = random.Random(seed)
        self._kinds: list[str] = []
        self.num_kills = 0

    def straight(self, name: str = "straight") -> Outcome:
        """Train without a break."""
        outcome = self._run(self._folder / name, resume=False, fatal=None, new_interpreter=True)
        self._kinds = outcome.kinds
        return outcome

    @property
    def expected(self) -> Path:
        """The straight run's last checkpoint."""
        return self._last(self._folder / "straight")

    def trial(self, number: int, most_kills: int) -> tuple[list[str], list[str]]:
        """Kill, resume, perhaps kill again, and come to the end; where it was killed, and what differs."""
        folder, killed = self._folder / f"trial-{number}", list[str]()
        num_kills = min(most_kills, self._random.randint(1, _MOST_KILLS_OF_A_TRIAL))
        for attempt in range(num_kills + 1):
            fatal = self._point() if attempt < num_kills else None
            outcome = self._run(folder, resume=bool(attempt), fatal=fatal)
            if outcome.failed is not None:
                return killed, [f"the run failed by itself: {outcome.failed}"]
            if outcome.killed is None:  # fewer points were left
                break
            killed.append(outcome.killed)
        self.num_kills += len(killed)
        found = differences(self.expected, self._last(folder))
        if not found:
            shutil.rmtree(folder)
        return killed, found

    def is_deterministic(self) -> bool:
        """Whether a second straight run gives the same numbers."""
        self.straight("again")
        return not differences(self.expected, self._last(self._folder / "again"))

    def _point(self) -> int:
        """The number of a point. Each kind is as likely as any other: most points are files of checkpoints."""
        kind = self._random.choice(sorted(set(self._kinds)))
        return self._random.choice([number for number, found in enumerate(self._kinds, 1) if found == kind])

    def _run(self, folder: Path, *, resume: bool, fatal: int | None, new_interpreter: bool = False) -> Outcome:
        arguments = {
            "max_steps": self._steps,
            "logging_dir": None,
            "logging_strategy": "steps",
            "logging_steps": 1,
            "save_strategy": "steps",
            "save_steps": max(1, self._steps // 5),
            "save_total_limit": 2,
            "eval_steps": max(1, self._steps // 4),
            "max_eval_steps": 3,
            "resume_anyway": False,
            "load_best_model_at_end": False,  # it touches no checkpoint, and wants saves at evaluations
        }
        return run_program(
            self._program, folder, arguments, resume=resume, fatal=fatal, new_interpreter=new_interpreter
        )

    def _last(self, folder: Path) -> Path:
        return folder / "checkpoints" / f"checkpoint-{self._steps}"


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command line."""
    arguments = _parser().parse_args(words)
    program = Path(arguments.program).absolute()
    program = program / "train.py" if program.is_dir() else program
    if not program.is_file():
        print(f"fgc: `{program}` does not exist: name the folder of a build, or a program", file=sys.stderr)
        return 2
    _load()
    folder = Path(tempfile.mkdtemp(prefix="fgc-verify-"))
    has_failed = True
    try:
        code = _verify(Verification(program, folder, arguments.steps, arguments.seed), arguments.kills)
        has_failed = code == 1
        return code
    except KeyboardInterrupt:
        has_failed = False
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        if has_failed:
            print(f"what the runs wrote is in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _verify(verification: Verification, kills: int) -> int:
    outcome = verification.straight()
    if outcome.failed is not None:
        print(f"fgc: the program fails without any kill: {outcome.failed}", file=sys.stderr)
        return 2
    if not verification.expected.is_dir():
        print("fgc: the program wrote no checkpoint: it must train with fgc_runtime's Trainer", file=sys.stderr)
        return 2
    final_loss = list(losses(verification.expected).values())[-1:]
    points = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(outcome.kinds).items()))
    print(f"straight run: last loss {final_loss}; points at which it can be killed: {points}", flush=True)
    number, num_unequal = 0, 0
    while verification.num_kills < kills:
        number += 1
        killed, found = verification.trial(number, kills - verification.num_kills)
        verdict = "equal" if not found else "DIFFERENT: " + "; ".join(found)
        print(f"{verification.num_kills:>4}/{kills} killed {' and '.join(killed)}: {verdict}", flush=True)
        num_unequal += bool(found)
        if found and not verification.is_deterministic():
            print("fgc: two straight runs differ as well: the program is not deterministic", file=sys.stderr)
            return 1
    if num_unequal:
        print(f"{num_unequal} of {number} runs differ from the straight one", file=sys.stderr)
        return 1
    print(
        f"{verification.num_kills} of {kills} kills survived: losses, weights, optimizer, counters and random states "
        "are those of the straight run, bit for bit"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fgc verify-resume",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="PROGRAM", help="the folder of a build, or a program")
    parser.add_argument("--steps", type=_at_least_one, default=12, help="steps of each run (default: 12)")
    parser.add_argument("--kills", type=_at_least_one, default=10, help="how often to kill (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the points (default: 0)")
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def _load() -> None:
    """What every run needs, once: the runs are forked from this process."""
    import transformers.models.auto.modeling_auto  # noqa: F401  # 4 s

    import fgc_runtime.script  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())

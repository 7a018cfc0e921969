"""The trials of one program: straight, killed and resumed, compared bit by bit. Loads torch."""

import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from fgc_runtime.verify.compare import differences, losses
from fgc_runtime.verify.trials import Outcome, run_program

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
        """Returns whether a second straight run gives the same numbers."""
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


def verify(verification: Verification, kills: int) -> int:
    """Print what each trial finds; returns 0 if all are equal, 1 if one differs, 2 if the program cannot be tried."""
    _load()
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


def _load() -> None:
    """Loads what every run needs, once: the runs are forked from this process."""
    import transformers.models.auto.modeling_auto  # noqa: F401  # 4 s

    import fgc_runtime.script  # noqa: F401

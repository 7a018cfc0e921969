"""Shows the progress of a sweep: one line that a terminal redraws, and a line for each finished trial."""

import shutil
import sys
import time
from collections.abc import Sequence
from datetime import timedelta

from optuna.trial import FrozenTrial

from fgc.cli.sweeping.show import number_text, value_text
from fgc.cli.sweeping.study import Study, outcome_of, values_of
from fgc.cli.sweeping.trials import TrialProcess
from fgc.printing import visible

_REDRAW_S = 0.5
_COLUMNS = 80


class Progress:
    """Prints to standard error; the line is there only on a terminal."""

    def __init__(self, *, goal: int | None, jobs: int, is_quiet: bool = False) -> None:
        self._goal = goal
        self._jobs = jobs
        self._is_quiet = is_quiet
        self._is_terminal = sys.stderr.isatty()
        self._drawn_s = float("-inf")
        self._has_line = False
        self._began_s = time.monotonic()
        self._num_ended = 0

    def show(self, study: Study, running: Sequence[TrialProcess]) -> None:
        """Draw the line anew, twice a second."""
        if not self._is_terminal or self._is_quiet or time.monotonic() - self._drawn_s < _REDRAW_S:
            return
        self._drawn_s = time.monotonic()
        width = shutil.get_terminal_size((_COLUMNS, 24)).columns - 1
        self._draw(visible(self._line(study, running))[:width])
        self._has_line = True

    def _draw(self, text: str) -> None:
        """Write a line anew, past what keeps the texts of others from moving the cursor."""
        if sys.__stderr__ is not None:
            sys.__stderr__.write(f"\r\x1b[K{text}")
            sys.__stderr__.flush()

    def say(self, text: str) -> None:
        """Print a line, above the one that is drawn anew."""
        self.end()
        print(text, file=sys.stderr, flush=True)

    def trial_ended(self, study: Study, number: int) -> None:
        """Print how a trial ended."""
        trial = study.trials[number]
        outcome = outcome_of(trial)
        self._num_ended += outcome not in ("interrupted", "same", "surplus")
        if outcome != "surplus" and not self._is_quiet:
            self.say(trial_line(study, trial))

    def end(self) -> None:
        """Leave the terminal in order."""
        if self._has_line:
            self._draw("")
            self._has_line = False

    def _line(self, study: Study, running: Sequence[TrialProcess]) -> str:
        done = sum(outcome_of(trial) in ("complete", "pruned", "diverged", "failed") for trial in study.trials)
        parts = [f"{done} of {self._goal} trials" if self._goal else f"{done} trials"]
        best = study.best()
        if best is not None:
            parts.append(f"best {study.plan.metric} {number_text(best.value)} (trial {best.number})")
        parts += [f"trial {each.number} at {each.step}/{each.max_steps}" for each in running]
        if self._goal and self._num_ended:
            each_s = (time.monotonic() - self._began_s) / self._num_ended
            parts.append(f"{timedelta(seconds=round(each_s * max(0, self._goal - done)))} left")
        return "  ".join(parts)


def trial_line(study: Study, trial: FrozenTrial) -> str:
    """Returns a trial in a line: how it ended, what it is worth, its values."""
    values = values_of(trial, study.plan.dimensions)
    worth = f"  {study.plan.metric} {number_text(trial.value)}" if trial.value is not None else ""
    best = study.best()
    mark = "  best so far" if best is not None and best.number == trial.number else ""
    reason = trial.user_attrs.get("reason")
    same = trial.user_attrs.get("same as")
    said = f" as trial {same}" if same is not None else ""
    why = f"  ({str(reason).splitlines()[0]})" if reason and outcome_of(trial) != "complete" else ""
    shown = "  ".join(f"{name}={value_text(text)}" for name, text in values.items())
    return f"trial {trial.number}  {outcome_of(trial)}{said}{worth}  {shown}{mark}{why}"

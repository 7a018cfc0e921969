"""Tasks of lm-evaluation-harness while a model is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fgc_runtime.callbacks.base import TrainerCallback, TrainingRun
from fgc_runtime.checkpoint import kept_random_states
from fgc_runtime.models.modes import evaluating
from fgc_runtime.output import say
from fgc_runtime.packages import require_extra

if TYPE_CHECKING:
    from fgc_runtime.evaluate.tasks import ChosenTasks


@dataclass(frozen=True, slots=True)
class _Asked:
    """Holds what the harness is asked for."""

    num_fewshot: int | None
    limit: float | None
    apply_chat_template: bool
    seed: int
    confirm_run_unsafe_code: bool = False
    log_samples: bool = False


class TaskEvaluationCallback(TrainerCallback):
    """Evaluates `tasks` every `eval_steps` steps, on the main process, while the others wait.

    The numbers are in the next record, as `TASK/METRIC`, and in a file of the run's `evaluations/`. A run with this
    callback computes the same weights as one without. `task_folders` hold YAML files of tasks of one's own. The tasks
    are loaded before the first step. Raises ValueError without tasks, and MissingExtra without lm-evaluation-harness.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        eval_steps: int = 1000,
        task_folders: Sequence[str] = (),
        num_fewshot: int | None = None,
        limit: float | None = None,
        batch_size: int = 8,
        apply_chat_template: bool = False,
        seed: int = 0,
    ) -> None:
        if not tasks:
            raise ValueError("tasks must name at least one task of lm-evaluation-harness, such as arc_easy")
        if eval_steps < 1:
            raise ValueError(f"eval_steps ({eval_steps}) must be at least 1")
        require_extra("lm_eval", "TaskEvaluationCallback", extra="eval")
        self.tasks = list(tasks)
        self.eval_steps = eval_steps
        self.task_folders = [Path(folder) for folder in task_folders]
        self.batch_size = batch_size
        self._asked = _Asked(num_fewshot, limit, apply_chat_template, seed)
        self._chosen: ChosenTasks | None = None
        self._unlogged: dict[str, float] = {}

    def on_train_begin(self, run: TrainingRun) -> None:
        """Load the tasks; refuse a run that has no tokenizer. Raises EvaluationError for an unknown task."""
        if run.tokenizer is None:
            raise ValueError("TaskEvaluationCallback needs the trainer's processing_class: the tokenizer of the tasks")
        if not run.is_main:
            return
        if not run.is_model_whole:
            say("No evaluation on tasks: it needs the whole model in one process, which this strategy divides")
            return
        from fgc_runtime.evaluate.tasks import Tasks  # lm_eval: seconds

        self._chosen = Tasks(self.task_folders).chosen(self.tasks)

    def on_step_end(self, run: TrainingRun) -> None:
        """Evaluate, if it is time."""
        if self._chosen is not None and run.state.global_step % self.eval_steps == 0:
            self._evaluate(run, self._chosen)

    def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
        """Add what was found since the last record."""
        record |= self._unlogged
        self._unlogged = {}

    def _evaluate(self, run: TrainingRun, tasks: "ChosenTasks") -> None:
        from fgc_runtime.evaluate.harness import metrics_of
        from fgc_runtime.evaluate.results import Place, keep

        found = self._measure(run, tasks)
        step = run.state.global_step
        place = Place(None, run.logging_dir / "evaluations", str(run.output_dir), run.logging_dir.name, step)
        keep(place, {"tasks": found})
        for task, metric, filtered, value, _ in metrics_of(found):
            name = metric if filtered == "none" else f"{metric}_{filtered}"
            self._unlogged[f"{task}/{name}"] = value
        say(f"step {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in self._unlogged.items()))

    def _measure(self, run: TrainingRun, tasks: "ChosenTasks") -> dict[str, Any]:
        """The tasks' metrics; the model's mode and all random states are as before, afterwards."""
        from fgc_runtime.evaluate.harness import evaluate_tasks, local_model

        assert run.tokenizer is not None, "on_train_begin refuses a run without one"
        with torch.no_grad(), kept_random_states(), evaluating(run.model):
            model = local_model(run.model, run.tokenizer, batch_size=self.batch_size)
            return evaluate_tasks(model, tasks, self._asked)

"""A few steps in full detail: a trace for `chrome://tracing` or ui.perfetto.dev, and a table of operators."""

from typing import Any

import torch

from fgc_runtime.callbacks.base import TrainerCallback, TrainingRun
from fgc_runtime.output import say

_ROWS = 20


class ProfilerCallback(TrainerCallback):
    """Records steps `first_step` to `first_step + num_steps - 1`, of this run, into its logging folder.

    `trace_steps_A_to_B.json` and `.txt`; on several processes each writes its own, with its rank. `warmup_steps` before
    are measured and thrown away: the first one pays for the profiler's own start. What is recorded runs slower.
    """

    def __init__(
        self,
        *,
        first_step: int = 10,
        num_steps: int = 3,
        warmup_steps: int = 1,
        record_shapes: bool = False,
        profile_memory: bool = False,
    ) -> None:
        least = {"first_step": (first_step, 2), "num_steps": (num_steps, 1), "warmup_steps": (warmup_steps, 0)}
        for name, (value, bound) in least.items():
            if value < bound:
                raise ValueError(f"{name} ({value}) must be at least {bound}")
        if warmup_steps > first_step - 2:
            raise ValueError(f"warmup_steps ({warmup_steps}) must leave a step before first_step ({first_step})")
        self.first_step = first_step
        self.num_steps = num_steps
        self.warmup_steps = warmup_steps
        self._options: dict[str, Any] = {"record_shapes": record_shapes, "profile_memory": profile_memory}
        self._profiler: torch.profiler.profile | None = None
        self._steps_done = 0

    def on_step_end(self, run: TrainingRun) -> None:
        """Begin behind the last step that is not measured, end behind the last one that is."""
        self._steps_done += 1
        if self._profiler is not None:
            self._profiler.step()
            if self._steps_done == self.first_step + self.num_steps - 1:
                self._end()
        elif self._steps_done == self.first_step - 1 - self.warmup_steps:
            self._begin(run)

    def on_train_end(self, run: TrainingRun) -> None:
        """A run that ends earlier leaves what it has."""
        if self._profiler is not None:
            self._end()

    def _begin(self, run: TrainingRun) -> None:
        activities = [torch.profiler.ProfilerActivity.CPU]
        if run.world.device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        step = run.state.global_step + self.warmup_steps + 1
        rank = f"_rank_{run.world.rank}" if run.world_size > 1 else ""
        path = run.logging_dir / f"trace_steps_{step}_to_{step + self.num_steps - 1}{rank}"

        def write(profiler: torch.profiler.profile) -> None:
            run.logging_dir.mkdir(parents=True, exist_ok=True)
            profiler.export_chrome_trace(f"{path}.json")
            key = f"self_{run.world.device.type}_time_total"
            table = profiler.key_averages().table(sort_by=key, row_limit=_ROWS)
            path.with_suffix(".txt").write_text(table + "\n", encoding="utf-8")
            if run.is_main:
                say(f"Wrote the profile of {self.num_steps} steps to {path}.json")

        schedule = torch.profiler.schedule(wait=0, warmup=self.warmup_steps, active=self.num_steps, repeat=1)
        self._profiler = torch.profiler.profile(
            activities=activities, schedule=schedule, on_trace_ready=write, **self._options
        )
        self._profiler.start()

    def _end(self) -> None:
        assert self._profiler is not None, "it has begun"
        self._profiler.stop()
        self._profiler = None

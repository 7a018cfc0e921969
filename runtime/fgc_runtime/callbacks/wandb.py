"""Log records, arguments and program to Weights & Biases; without a network too (`mode: offline`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fgc_runtime.callbacks.base import TrainingRun
from fgc_runtime.callbacks.tracking import End, Opened, TrackingCallback, group_of

_EXIT_CODES: dict[End, int] = {"finished": 0, "stopped": 0, "failed": 1}


class WandbCallback(TrackingCallback):
    """A run of Weights & Biases.

    `project` None: the model's name. `mode` None: what `WANDB_MODE` says, else online; `offline` writes into the run's
    folder, for `wandb sync`. Credentials are wandb's own: `wandb login`, or `WANDB_API_KEY`. `log_model`: checkpoints
    become artifacts. Numbers stand against `step`, so that a resumed run may repeat steps.
    """

    package, service = "wandb", "Weights & Biases"

    def __init__(
        self,
        *,
        project: str | None = None,
        name: str | None = None,
        entity: str | None = None,
        tags: Sequence[str] = (),
        mode: Literal["online", "offline", "disabled"] | None = None,
        log_model: bool = False,
    ) -> None:
        super().__init__(log_model=log_model)
        self.project, self.name, self.entity, self.tags, self.mode = project, name, entity, tuple(tags), mode
        self._run: Any = None

    def _open(self, run: TrainingRun, facts: Mapping[str, object], earlier: str | None) -> Opened:
        import wandb  # 1 s, and an optional dependency

        run.logging_dir.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self.project or run.output_dir.name or "train",
            name=self.name or run.logging_dir.name,
            entity=self.entity,
            group=group_of(run),
            tags=list(self.tags) or None,
            mode=self.mode,
            dir=str(run.logging_dir),
            config=dict(facts),
            id=earlier,
            resume="allow" if earlier else None,
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        link = self._run.url or (str(Path(self._run.dir).parent) if self._run.dir else None)
        return str(self._run.id), link

    def _log_program(self, texts: Mapping[str, str]) -> None:
        import wandb

        if not texts:
            return
        artifact = wandb.Artifact(f"program-{self._run.id}", type="program")
        for name, text in texts.items():
            with artifact.new_file(name, mode="w", encoding="utf-8") as file:
                file.write(text)
        self._run.log_artifact(artifact)

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log({**numbers, "step": step})

    def _log_folder(self, folder: Path) -> None:
        import wandb

        artifact = wandb.Artifact(f"checkpoint-{self._run.id}", type="model", metadata={"folder": folder.name})
        artifact.add_dir(str(folder))
        self._run.log_artifact(artifact)

    def _close(self, end: End) -> None:
        self._run.summary["end"] = end
        self._run.finish(exit_code=_EXIT_CODES[end])

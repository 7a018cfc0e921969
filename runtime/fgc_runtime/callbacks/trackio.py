"""Log records and arguments to trackio: a database on this machine, or a Space of the Hugging Face hub."""

from collections.abc import Callable, Mapping
from pathlib import Path

from fgc_runtime.callbacks.base import TrainingRun
from fgc_runtime.callbacks.tracking import End, Opened, TrackingCallback, group_of


class TrackioCallback(TrackingCallback):
    """A run of trackio, which `trackio show` opens.

    `project` None: the model's name. `space_id`: a Space that shows it to others; without one everything stays in
    `TRACKIO_DIR`. trackio keeps no files of its own: program and configuration go along as texts of its configuration.
    """

    package, service = "trackio", "trackio"

    def __init__(self, *, project: str | None = None, name: str | None = None, space_id: str | None = None) -> None:
        super().__init__()
        self.project, self.name, self.space_id = project, name, space_id

    def _open(self, run: TrainingRun, facts: Mapping[str, object], earlier: str | None) -> Opened:
        import trackio  # gradio's client: 2 s, and an optional dependency

        project, name = self.project or run.output_dir.name or "train", earlier or self.name or run.logging_dir.name
        trackio.init(
            project=project,
            name=name,
            group=group_of(run),
            space_id=self.space_id,
            config={key: value if isinstance(value, (int, float, str)) else str(value) for key, value in facts.items()},
            resume="allow" if earlier else "never",
            embed=False,
        )
        place = (
            f"https://huggingface.co/spaces/{self.space_id}" if self.space_id else f"trackio show --project {project}"
        )
        return name, place

    def _log_program(self, texts: Mapping[str, str]) -> None:
        """Nothing: trackio keeps numbers; the run's folder has the program."""

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        import trackio

        trackio.log(dict(numbers), step=step)

    def _log_folder(self, folder: Path) -> None:
        """Nothing: trackio keeps no checkpoints."""

    def _close(self, end: End) -> None:
        import trackio

        finish: Callable[[], None] = trackio.finish
        finish()

"""Log records, arguments and program to MLflow: a tracking server, or a database or folder on this disk."""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fgc_runtime.callbacks.base import TrainingRun
from fgc_runtime.callbacks.tracking import End, Opened, TrackingCallback, group_of

_STATES: dict[End, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_LONGEST_PARAM = 500  # characters, of the oldest servers in use
_MOST_PARAMS = 100  # in one request


class MlflowCallback(TrackingCallback):
    """A run of MLflow.

    `tracking_uri` None: what `MLFLOW_TRACKING_URI` says, else `mlflow.db` in the output folder, with files in
    `mlartifacts` there; `mlflow ui --backend-store-uri` shows it. `experiment` None: the model's name, or the sweep's.
    `log_model`: checkpoints become artifacts.
    """

    package, service = "mlflow", "MLflow"

    def __init__(
        self,
        *,
        experiment: str | None = None,
        name: str | None = None,
        tracking_uri: str | None = None,
        log_model: bool = False,
    ) -> None:
        super().__init__(log_model=log_model)
        self.experiment, self.name, self.tracking_uri = experiment, name, tracking_uri
        self._client: Any = None
        self._run_id = ""

    def _open(self, run: TrainingRun, facts: Mapping[str, object], earlier: str | None) -> Opened:
        import mlflow  # 1 s, and an optional dependency
        from mlflow.entities import Param

        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or _own_uri(run.output_dir)
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        own_place = None if uri.startswith(("http", "databricks")) else run.output_dir.absolute() / "mlartifacts"
        self._run_id = earlier or self._new_run(run, None if own_place is None else own_place.as_uri())
        if earlier is None:
            params = [Param(name, str(value)[:_LONGEST_PARAM]) for name, value in facts.items()]
            for begin in range(0, len(params), _MOST_PARAMS):
                self._client.log_batch(self._run_id, params=params[begin : begin + _MOST_PARAMS])
        else:
            self._client.update_run(self._run_id, status="RUNNING")
        about = self._client.get_run(self._run_id).info
        place = f"#/experiments/{about.experiment_id}/runs/{about.run_id}"
        return self._run_id, f"{uri}/{place}" if uri.startswith("http") else f"{uri} run {about.run_id}"

    def _new_run(self, run: TrainingRun, artifacts: str | None) -> str:
        name = self.experiment or group_of(run)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found is not None else self._new_experiment(name, artifacts)
        created = self._client.create_run(experiment, run_name=self.name or run.logging_dir.name)
        return str(created.info.run_id)

    def _new_experiment(self, name: str, artifacts: str | None) -> str:
        """Makes an experiment; without a server its files lie in the output folder, not where the program started."""
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    def _log_program(self, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            self._client.log_text(self._run_id, text, f"program/{name}")

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        known = {name: value for name, value in numbers.items() if math.isfinite(value)}  # a database takes no others
        self._client.log_batch(self._run_id, metrics=[Metric(name, value, now, step) for name, value in known.items()])

    def _log_folder(self, folder: Path) -> None:
        self._client.log_artifacts(self._run_id, str(folder), artifact_path=folder.name)

    def _close(self, end: End) -> None:
        self._client.set_terminated(self._run_id, status=_STATES[end])


def _own_uri(output_dir: Path) -> str:
    output_dir.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{output_dir.absolute() / 'mlflow.db'}"

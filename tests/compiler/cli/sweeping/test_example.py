"""The example with a target `sweep`: checked, and trained for a moment as an ordinary run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")
EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.mark.slow
def test_the_example_sweeps_and_its_trials_are_ordinary_runs(run: Any) -> None:
    shutil.copytree(EXAMPLES / "forgather_workspace", "forgather_workspace")
    shutil.copytree(EXAMPLES / "tiny_experiments/sweep", "sweep")
    words = ("-p", "sweep", "sweep", "--trials", "1", "--max-steps", "2", "--max-bytes", "60000", "-d", "cpu")
    result = run(*words)
    assert result.code == 0, result.err
    output = "sweep/output_models/swept/sweeps/sweep"
    [trial] = json.loads(run("sweep", "show", output, "--format", "json").out)["trials"]
    [found] = json.loads(run("runs", "--folder", output, "--format", "json").out)
    assert (found["state"], found["step"], found["best"]["value"]) == ("finished", 2, trial["value"])
    assert found["trial"] == {"sweep": "sweep", "number": 0, "values": trial["values"]}
    assert Path(trial["run"]).name == Path(found["folder"]).name

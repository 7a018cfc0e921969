"""`fgc checkpoint` and `fgc tb`: what lies in a configuration's output folder."""

import json
import shlex
from pathlib import Path

import pytest

from .conftest import Run

CONFIG = "meta: !dict { output_dir: {{ joinpath(project_dir, 'output_models/%s') }} }\nmain: 1\n"


@pytest.fixture(autouse=True)
def output(run: Run) -> Path:
    Path("forgather_workspace").mkdir()
    Path("p/templates/configs").mkdir(parents=True)
    Path("p/meta.yaml").write_text("name: P\n")
    for name in ("a", "b"):
        Path(f"p/templates/configs/{name}.yaml").write_text(CONFIG % name)
    output = Path("p/output_models/a").absolute()
    for step in (5, 10, 100):
        folder = output / f"checkpoints/checkpoint-{step}"
        folder.mkdir(parents=True)
        for name in ("model.safetensors", "config.json", "training_state.pt", "checkpoint.json"):
            (folder / name).write_text(f"{name} {step}")
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    (output / "checkpoints/checkpoint-7.unfinished").mkdir()
    return output


def test_checkpoints_are_listed_by_step(run: Run, output: Path) -> None:
    lines = run("-p", "p", "checkpoint", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["5", "10", "100"] and lines[-1].endswith("latest")
    rows = json.loads(run("checkpoint", "--folder", str(output), "list", "--format", "json").out)
    assert [row["step"] for row in rows] == [5, 10, 100]
    assert "no checkpoints" in run("-p", "p", "-t", "b", "checkpoint", "list").out


def test_one_is_shown_with_its_state(run: Run) -> None:
    assert "global_step: 100" in run("-p", "p", "checkpoint", "show").out
    assert "global_step: 10\n" in run("-p", "p", "checkpoint", "show", "10").out
    result = run("-p", "p", "checkpoint", "show", "11")
    assert result.code == 2 and "there are 5, 10, 100" in result.err


def test_a_checkpoint_is_linked_and_linked_anew_but_no_file_is_replaced(run: Run, output: Path) -> None:
    assert run("-p", "p", "checkpoint", "link").code == 0
    assert (output / "model.safetensors").read_text() == "model.safetensors 100"
    assert not (output / "training_state.pt").exists() and not (output / "trainer_state.json").exists()
    assert run("-p", "p", "checkpoint", "link", "5").code == 0
    assert (output / "model.safetensors").read_text() == "model.safetensors 5"
    (output / "config.json").unlink()
    (output / "config.json").write_text("mine")
    result = run("-p", "p", "checkpoint", "link", "10")
    assert result.code == 2 and "config.json" in result.err
    assert (output / "config.json").read_text() == "mine"
    assert (output / "model.safetensors").read_text() == "model.safetensors 5"
    assert run("-p", "p", "checkpoint", "link", "10", "--into", "else").code == 0
    assert Path("else/config.json").read_text() == "config.json 10"


def test_tensorboard_is_started_on_one_or_on_all(run: Run, output: Path) -> None:
    words = shlex.split(run("-p", "p", "tb", "--dry-run", "--", "--port", "7").out)
    assert words[1:] == ["-P", "-m", "tensorboard.main", "--logdir", str(output), "--port", "7"]
    assert shlex.split(run("-p", "p", "tb", "--all", "--dry-run").out)[-1] == str(output.parent)


def test_a_configuration_without_an_output_folder_says_so(run: Run) -> None:
    Path("c.yaml").write_text("main: 1\n")
    assert "has no `output_dir`" in run("tb", "c.yaml").err
    assert run("checkpoint", "list").code == 2


def steps_in(output: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in (output / "checkpoints").iterdir())


def test_pruning_keeps_the_newest_the_best_and_the_linked_ones(run: Run, output: Path) -> None:
    for step, loss in ((5, 2.0), (10, 1.0), (50, 3.0), (100, 1.5)):
        folder = output / f"checkpoints/checkpoint-{step}"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "checkpoint.json").write_text(json.dumps({"metrics": {"eval_loss": loss}}))
        (folder / "trainer_state.json").write_text(json.dumps({"best_metric": 1.0, "best_step": 10}))
    dry = run("-p", "p", "checkpoint", "prune", "--keep", "1", "--dry-run")
    assert dry.out.splitlines()[-1] == "kept 10 (best), 100 (latest)" and "would remove checkpoint 5 (" in dry.out
    assert run("-p", "p", "checkpoint", "link", "5").code == 0
    listed = json.loads(run("checkpoint", "list", "--folder", str(output), "--format", "json").out)
    assert {row["step"] for row in listed if row["is_linked"]} == {5}
    result = run("checkpoint", "prune", "--keep", "1", "-p", "p", "-t", "a")
    assert result.code == 0 and result.out.splitlines()[-1] == "kept 5 (linked), 10 (best), 100 (latest)"
    assert steps_in(output) == [5, 10, 100], "what was interrupted is gone too"
    assert (output / "config.json").read_text() == "{}"


def test_pruning_needs_a_number_and_spares_a_running_training(run: Run, output: Path) -> None:
    assert "at least the newest" in run("-p", "p", "checkpoint", "prune", "--keep", "0").err
    with pytest.raises(SystemExit, match="2"):
        run("-p", "p", "checkpoint", "prune")
    record = output / "runs/train_1/run.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"state": "running", "process": {"host": "another machine"}}))
    result = run("-p", "p", "checkpoint", "prune", "--keep", "1")
    assert (result.code, result.out) == (2, "") and "`train_1` is running" in result.err
    assert len(list((output / "checkpoints").iterdir())) == 4

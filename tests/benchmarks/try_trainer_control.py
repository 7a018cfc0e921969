"""What the README of `examples/trainer_control` tells a reader to type, typed: in a copy that has less text to read.

    python -m pytest -p no:xdist tests/benchmarks/try_trainer_control.py

Two trainings are started through torchrun: 38 s of one core, which is why no test run does it by itself.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
FGC = [sys.executable, "-m", "fgc"]


def commands(readme: Path) -> list[list[str]]:
    """The words of each `fgc` command of the README, in their order, without the comments behind them."""
    blocks = re.findall(r"```sh\n(.*?)```", readme.read_text(), re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("out", "output_models"))
    project = tmp_path / "examples/trainer_control"
    config = project / "templates/configs/steered.yaml"
    config.write_text(config.read_text().replace("1000000", "60000").replace("eval_steps: 200", "eval_steps: 100000"))
    answers: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="fgc-") as jobs:
        environment = os.environ | {"FGC_JOBS_DIR": jobs, "OMP_NUM_THREADS": "1"}
        training: subprocess.Popen[bytes] | None = None
        for words in commands(project / "README.md"):
            if words[0] == "train":
                training = start(words, project, environment)
                continue
            done = subprocess.run(
                [*FGC, *words], cwd=project, env=environment, text=True, capture_output=True, timeout=60, check=False
            )
            assert done.returncode == 0, (words, done.stdout, done.stderr)
            answers[" ".join(words)] = done.stdout
            if "stop" in words or "save-stop" in words:
                assert training is not None and training.wait(60) == 0, (project / "said").read_text()
    assert "steered" in answers["control list"]
    assert "checkpoint-" in answers["control save steered"]
    assert "trainer.py" in answers["control stacks steered"]
    assert "Resuming at step" in (project / "said").read_text()
    assert list((project / "output_models/steered").glob("*.safetensors"))
    assert answers["runs"].count("train_") == 2


def start(words: list[str], project: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A training that has logged something."""
    with (project / "said").open("wb") as said:
        process = subprocess.Popen([*FGC, *words], cwd=project, env=environment, stdout=said, stderr=said)
    while "  loss " not in (project / "said").read_text():
        if process.poll() is not None:
            raise AssertionError((project / "said").read_text())
        time.sleep(0.1)
    return process

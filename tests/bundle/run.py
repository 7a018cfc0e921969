"""Bundles in an environment that has torch and transformers only: `make test-bundle`, outside the gate.

Each configuration is built with `fgc build --bundle`, and its program run there for two steps: without fgc, without
its runtime, and without what `requirements.txt` names as optional. What is missing is skipped with a word, or refused
before training begins.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fgc.cli.main import main as fgc

CONFIG = """\
-- extends 'types/training_script/causal_lm/causal_lm.yaml'
[config_metadata]
    == super()
    -- set ns.model_name = 'small'
    -- set ns.trainer_template = 'trainers/{trainer}.yaml'
[dataset]
.define: &dataset !partial:fgc_runtime.data:{dataset}
[construct_new_model]
    -- include 'small.model'
[trainer_definition]
    -- include 'small.trainer'

#---- small.model ----
-- extends 'causal_lm.model'
[model_config]
    == super()
    hidden_size: 16
    intermediate_size: 32
    num_hidden_layers: 1
    num_attention_heads: 2

#---- small.trainer ----
-- extends ns.trainer_template
[trainer_args]
    == super()
    use_cpu: true
    max_steps: 2
    per_device_train_batch_size: 1
    {arguments}
"""
SOURCES = "python_stdlib_sources { max_bytes: 60000 }"
TRAINS = ("TensorBoard is not installed", "The model is in")
CASES = {  # trainer template, data set, more arguments; what the program says
    "plain": (("trainer", SOURCES, ""), TRAINS),
    "ddp": (("ddp", SOURCES, ""), TRAINS),
    "fsdp2": (("fsdp2", SOURCES, ""), TRAINS),
    "accelerate": (("accelerate", SOURCES, ""), ("needs the package accelerate, which is not installed",)),
    "liger": (("trainer", SOURCES, "fused_loss: liger"), ("needs the package liger-kernel, which is not installed",)),
    "hub": (("trainer", "hub_dataset { path: a/b }", ""), ("needs the package datasets, which is not installed",)),
}


def run(python: Path, folder: Path, case: str) -> list[str]:
    """Builds and runs one case; returns what is wrong with what its program says."""
    (trainer, dataset, arguments), expected = CASES[case]
    config = folder / f"{case}.yaml"
    config.write_text(CONFIG.format(trainer=trainer, dataset=dataset, arguments=arguments), encoding="utf-8")
    assert fgc(["build", str(config), "-o", str(folder / case / "out"), "--bundle"]) == 0, f"{case} is not built"
    environment = {"PATH": os.defpath, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "out/train.py"], cwd=folder / case, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    problems = [f"{case} does not say `{text}`" for text in expected if text not in said]
    if expected is not TRAINS and ("Training " in said or "Traceback" in said):
        problems.append(f"{case} begins to train, or shows a traceback")
    if (done.returncode == 0) is not (expected is TRAINS):
        problems.append(f"{case} ends with {done.returncode}")
    return [*problems, said] if problems else []


def main() -> None:
    """Runs every case, then the first once more with all that its requirements name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="of an environment with torch and transformers")
    python = parser.parse_args().python.absolute()
    probe = "import importlib.util as u; print([n for n in ('fgc', 'fgc_runtime', 'tensorboard') if u.find_spec(n)])"
    there = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True).stdout.strip()
    if there != "[]":
        sys.exit(f"{python} must have torch and transformers only, but has {there}")
    with tempfile.TemporaryDirectory() as folder:
        problems = [problem for case in CASES for problem in run(python, Path(folder), case)]
        requirements = Path(folder) / "plain/out/requirements.txt"
        subprocess.run([python, "-m", "pip", "install", "--dry-run", "--quiet", "-r", requirements], check=True)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(CASES)} bundles do what they should")


if __name__ == "__main__":
    main()

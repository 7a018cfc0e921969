"""Keeps a program and a checkpoint of this release, for `test_releases.py` of all later ones.

To be run once for each release, after its version is set: `.venv/bin/python tests/releases/make.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fgc_runtime.releases import VERSION

HERE = Path(__file__).parent
_STEP = 6  # of the checkpoint that is kept; the training has twice as many


def main() -> None:
    """Build and train the project, and keep what later releases must take. Raises FileExistsError for a kept one."""
    if (HERE / VERSION).exists():
        raise FileExistsError(f"{HERE / VERSION} is kept already")
    with TemporaryDirectory() as folder:
        work, kept = Path(folder) / "project", Path(folder) / "kept"
        shutil.copytree(HERE / "project", work)
        _run(Path(sys.executable).with_name("fgc"), "build", "release.yaml", "-o", "program", folder=work)
        _run(sys.executable, "program/train.py", folder=work)
        [run] = work.glob("output_models/release/runs/*")
        shutil.copytree(work / "program", kept / "program", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(run / f"checkpoints/checkpoint-{_STEP}", kept / f"checkpoint-{_STEP}")
        records = [json.loads(line) for line in (run / "trainer_logs.json").read_text().splitlines()]
        losses = {record["global_step"]: record["loss"] for record in records if "loss" in record}
        (kept / "losses.json").write_text(json.dumps(losses, indent=1) + "\n")
        shutil.move(kept, HERE / VERSION)


def _run(*words: str | Path, folder: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run(words, cwd=folder, check=True, env=environment)


if __name__ == "__main__":
    main()

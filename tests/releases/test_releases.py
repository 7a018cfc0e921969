"""Programs and checkpoints of every release run with this one, or are refused with the version to install."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fgc
import fgc_runtime
import pytest
from fgc_runtime import releases
from fgc_runtime.checkpoint import DamagedCheckpoint, read_manifest
from fgc_runtime.releases import OLDEST, VERSION, refusal

HERE = Path(__file__).parent
RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "program").is_dir())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(HERE / "project", tmp_path, dirs_exist_ok=True)
    return tmp_path


def train(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = (sys.executable, "program/train.py", *words)
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)


def changed(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_one_version_stands_everywhere() -> None:
    [root] = (parent for parent in HERE.parents if (parent / "pyproject.toml").is_file())
    assert fgc.__version__ == fgc_runtime.__version__ == VERSION
    assert f'\nversion = "{VERSION}"\n' in (root / "pyproject.toml").read_text()
    assert f"\nversion: {VERSION}\n" in (root / "CITATION.cff").read_text()
    lock = json.loads((root / "editors/vscode/package-lock.json").read_text())
    package = json.loads((root / "editors/vscode/package.json").read_text())
    assert package["version"] == lock["version"] == lock["packages"][""]["version"] == VERSION
    assert f"\n## {VERSION} " in (root / "CHANGELOG.md").read_text()
    assert OLDEST in RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_a_program_of_a_release_goes_on_from_its_checkpoint(project: Path, release: str) -> None:
    shutil.copytree(HERE / release, project, dirs_exist_ok=True)
    ran = train(project, "--resume", "checkpoint-6")
    assert ran.returncode == 0, ran.stderr
    [log] = project.glob("output_models/release/runs/*/trainer_logs.json")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    losses = {record["global_step"]: record["loss"] for record in records if "loss" in record}
    before = json.loads((project / "losses.json").read_text())
    assert {step: losses[step] for step in range(7, 13)} == pytest.approx(
        {step: before[str(step)] for step in range(7, 13)}, rel=1e-4
    )


@pytest.mark.parametrize("written_by", ["0.1.0", "99.0.0"])
def test_programs_and_checkpoints_of_others_are_refused(project: Path, written_by: str) -> None:
    shutil.copytree(HERE / VERSION, project, dirs_exist_ok=True)
    changed(project / "checkpoint-6/checkpoint.json", fgc=written_by)
    with pytest.raises(DamagedCheckpoint, match=f"is of fgc {written_by}, and this is fgc {VERSION}"):
        read_manifest(project / "checkpoint-6")
    changed(project / "program/manifest.json", fgc=written_by)
    ran = train(project)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: train.py is of fgc {written_by}, and this is fgc {VERSION}")
    assert ran.stderr.count("\n") == 1


def test_a_release_is_to_be_installed_only_if_there_was_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "VERSION", "0.4.0")
    monkeypatch.setattr(releases, "OLDEST", "0.3.0")
    takes = "and this is fgc 0.4.0, which takes those of 0.3.0 and later: make it again"
    assert refusal("x", "0.1.0") == f"x is of fgc 0.1.0, {takes}"
    assert refusal("x", "0.2.0") == f"x is of fgc 0.2.0, {takes}, or `pip install fgc==0.2.0`"
    assert refusal("x", "0.5.0") == "x is of fgc 0.5.0, and this is fgc 0.4.0: `pip install 'fgc>=0.5.0'`"


def test_a_format_of_another_release_says_which(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text('{"format": 7, "fgc": "99.0.0"}')
    with pytest.raises(DamagedCheckpoint, match=r"pip install 'fgc>=99\.0\.0'"):
        read_manifest(tmp_path)
    changed(tmp_path / "checkpoint.json", fgc=VERSION)
    with pytest.raises(DamagedCheckpoint, match=f"not of a format that fgc {VERSION} reads, which is 1"):
        read_manifest(tmp_path)


def test_releases_that_change_nothing_for_others_are_taken() -> None:
    major, minor, patch = map(int, VERSION.split("."))
    assert refusal("x", f"{major}.{minor}.{patch + 1}") is None
    assert refusal("x", f"{major}.{minor}.{patch}.dev1") is None
    assert refusal("x", None) is None
    assert refusal("x", f"{major}.{minor + 1}.0") is not None

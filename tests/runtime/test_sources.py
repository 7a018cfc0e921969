"""A running program is frozen: a rebuild, an edit or removal of its files changes nothing in what it is or writes."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PROGRAM = """\
import shutil
from pathlib import Path

import fgc_runtime
from fgc_runtime.runs import keep_program
from fgc_runtime.sources import program_files, read_source

here = Path(__file__).parent
CHANGE
import tiny.part
from sources import late

keep_program(program_files(), here.parent / "kept")
print(late.VALUE, tiny.part.VALUE, tiny.__path__ == [str(here / "tiny")], read_source(here / "note.txt").decode())
late.fail()
"""
FILES = {
    "tiny/__init__.py": "",
    "tiny/part.py": "VALUE = 'old'\n",
    "sources/__init__.py": "",
    "sources/late.py": "VALUE = 'old'\n\n\ndef fail():\n    raise ValueError('as written')\n",
    "note.txt": "old",
}
CHANGES = {
    "edited": "[path.write_text('raise SystemExit(3)') for path in here.rglob('*') if path.is_file()]",
    "removed": "shutil.rmtree(here)",
    "replaced": "here.rename(here.parent / 'other'); here.mkdir()",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_program_is_what_it_was_when_it_started(tmp_path: Path, change: str) -> None:
    files = {"train.py": PROGRAM.replace("CHANGE", CHANGES[change]), **FILES}
    for name, text in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    (tmp_path / "out/manifest.json").write_text(json.dumps({"outputs": dict.fromkeys(files, "sha256:")}))
    done = subprocess.run([sys.executable, "-B", "out/train.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "old old True old\n", done.stderr
    kept = {path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").rglob("*.*")}
    assert kept == {*files, "manifest.json"}
    assert all((tmp_path / "kept" / name).read_text() == text for name, text in files.items())


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "tiny/../../secret.txt"])
def test_a_manifest_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "out/manifest.json").write_text(json.dumps({"outputs": {"train.py": "", name: ""}}))
    assert contents_of(tmp_path / "out") == "['manifest.json', 'train.py']\n"


@pytest.mark.parametrize("manifest", ["", "[]", '{"outputs": 3}', '{"outputs": ["train.py"]}', "[" * 100_000])
def test_a_manifest_that_is_none_is_no_build(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    assert contents_of(tmp_path) == "['train.py']\n"


def contents_of(folder: Path) -> str:
    text = "from fgc_runtime.sources import program_files\nprint(sorted(program_files().contents))\n"
    (folder / "train.py").write_text(text)
    command = [sys.executable, "train.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


SPAWNING = """\
import multiprocessing
import shutil
from pathlib import Path

import fgc_runtime

here = Path(__file__).parent


def in_main(queue):
    import tiny.part

    queue.put((tiny.part.VALUE, Path(__file__).with_name("note.txt").read_text()))


if __name__ == "__main__":
    from sources import late

    CHANGE
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        for function in (in_main, late.put):
            queue = context.Queue()
            process = context.Process(target=function, args=(queue,))
            process.start()
            print(*queue.get(timeout=60))
            process.join()
"""


@pytest.mark.parametrize("change", CHANGES)
def test_processes_that_are_spawned_run_the_program_as_it_was(tmp_path: Path, change: str) -> None:
    files = {"train.py": SPAWNING.replace("CHANGE", CHANGES[change]), **FILES}
    files["sources/late.py"] += "\n\ndef put(queue):\n    queue.put((VALUE,))\n"
    for name, text in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    (tmp_path / "out/manifest.json").write_text(json.dumps({"outputs": dict.fromkeys(files, "sha256:")}))
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket of forkserver lies in it: at most 107 characters
        command, environment = [sys.executable, "-B", "out/train.py"], {**os.environ, "TMPDIR": short}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.stdout == "old old\nold\n" * 2, done.stderr
        assert not [path for path in Path(short).iterdir() if path.name.startswith("fgc-")]

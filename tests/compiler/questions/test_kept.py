"""The folder of kept answers is the user's own; what is in it and not as expected counts for nothing."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fgc.emit.layout import black_layout
from fgc.questions import Dependencies, Kept, Questions, open_kept
from fgc.workspace.layouts import kept_layout

TEXT = "x = {  'a':1,\n 'b' : [1,2] }\n"
QUESTION = ["numbers"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "answers"


def _numbers(folder: Path) -> list[int] | None:
    kept = Kept(folder)
    found = kept.get(kept.key(QUESTION), list[int])
    return None if found is None else found[0]


def _entry(folder: Path) -> Path:
    kept = Kept(folder)
    kept.put(kept.key(QUESTION), [1, 2], Dependencies())
    assert _numbers(folder) == [1, 2]
    (entry,) = folder.iterdir()
    return entry


def _link(entry: Path) -> None:
    entry.rename(entry.with_name("elsewhere"))
    entry.symlink_to(entry.with_name("elsewhere"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda entry: entry.write_bytes(entry.read_bytes()[:-2]),
    "nested": lambda entry: entry.write_bytes(b"[" * 20_000),
    "nested inside": lambda entry: entry.write_bytes(b'{"seen":{},"answer":' + b"[" * 20_000),
    "empty": lambda entry: entry.write_bytes(b""),
    "no JSON": lambda entry: entry.write_bytes(b"\x80\x04cos\nsystem\n"),
    "another type": lambda entry: entry.write_text('{"seen": {}, "answer": "text"}'),
    "another shape": lambda entry: entry.write_text('{"answer": [1]}'),
    "paths that are numbers": lambda entry: entry.write_text('{"seen": {"paths": {"a": 1}}, "answer": [1]}'),
    "readable by others": lambda entry: entry.chmod(0o644),
    "writable by others": lambda entry: entry.chmod(0o622),
    "a link": _link,
    "a folder": lambda entry: (entry.unlink(), entry.mkdir()),
    "a pipe": lambda entry: (entry.unlink(), os.mkfifo(entry, 0o600)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_entry_that_is_not_as_expected_counts_for_nothing(folder: Path, damage: str) -> None:
    DAMAGES[damage](_entry(folder))
    assert _numbers(folder) is None


def test_the_folder_is_for_its_owner_only(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    entry = _entry(folder)
    assert (folder.stat().st_mode & 0o777, entry.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "answers").mkdir()
    os.chown(tmp_path / "answers", 12345, 12345)
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path))
    assert open_kept() is None


def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "answers").write_text("a file is in the way")
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path))
    assert open_kept() is None


def test_the_oldest_entries_and_what_was_left_behind_leave(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgc.questions.kept._MAX_ENTRIES", 8)
    for number in range(9):
        Kept(folder).put(f"{number}", number, Dependencies())
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (number * 10_000, number * 10_000))
    (folder / "killed.tmp").touch()
    os.utime(folder / "killed.tmp", (1, 1))
    Kept(folder).put("9", 9, Dependencies())
    assert len(list(folder.iterdir())) == 7
    assert Kept(folder).get("0", int) is None


def test_entries_that_another_process_removes_are_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _entry(folder)
    list_folder = os.scandir

    @contextlib.contextmanager
    def racing(path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        (folder / "gone.json").touch()
        with list_folder(path) as found:
            entries = [*found]
            (folder / "gone.json").unlink()
            yield iter(entries)

    kept = Kept(folder)
    monkeypatch.setattr("os.scandir", racing)
    assert kept.put(kept.key(["other"]), [3], Dependencies()) is not None
    assert not (folder / "gone.json").exists()


def test_what_cannot_be_removed_does_not_lose_an_answer(folder: Path) -> None:
    left = folder / "folder.tmp"
    _entry(folder)
    left.mkdir()
    os.utime(left, (0, 0))
    kept = Kept(folder)
    assert kept.put(kept.key(["other"]), [3], Dependencies()) is not None
    assert left.is_dir()


def test_another_compiler_asks_other_questions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _entry(folder)
    monkeypatch.setattr("fgc.questions.kept.__version__", "99")
    assert _numbers(folder) is None


def test_a_layout_is_black_s_and_loads_black_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path))
    program = (
        "import sys\nfrom fgc.questions import Questions, open_kept\nfrom fgc.workspace.layouts import kept_layout\n"
        f"sys.stdout.write(kept_layout(Questions(open_kept()), {TEXT!r}))\n"
        "sys.stderr.write(str('black' in sys.modules))"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(2)]
    assert [run.stdout for run in runs] == [black_layout(TEXT)] * 2
    assert [run.stderr for run in runs] == ["True", "False"]


def test_another_black_lays_out_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path / "answers")
    kept_layout(Questions(kept), TEXT)
    monkeypatch.setattr("fgc.workspace.layouts.black_layout", lambda text: "new\n")
    assert kept_layout(Questions(kept), TEXT) != "new\n"
    monkeypatch.setattr("fgc.workspace.layouts.installed_version", lambda package: "99")
    assert kept_layout(Questions(kept), TEXT) == "new\n"

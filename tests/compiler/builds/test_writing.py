"""Builds on disk: all or nothing, the same everywhere, and never over the work of a person."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fgc.builds import exchange, writing
from fgc.builds.manifest import BuildRecord, content_hash
from fgc.builds.writing import write_build

FILES = {"train.py": "print(1)\n", "model/modeling.py": "x = 1\n"}
RECORD = BuildRecord(targets=["main"], inputs={"a.yaml": "main: 1\n"}, arguments={"lr": 0.1, "flag": None})


def tree(folder: Path) -> dict[str, bytes]:
    """Everything below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def codes(folder: Path, files: dict[str, str] = FILES, **options: Any) -> list[str]:
    return [finding.code for finding in write_build(folder, files, RECORD, **options).diagnostics]


def test_a_build_is_the_same_in_any_folder(tmp_path: Path) -> None:
    for name in ("one", "deep/er/two"):
        assert write_build(tmp_path / name, FILES, RECORD).value == tmp_path / name
    assert tree(tmp_path / "one") == tree(tmp_path / "deep/er/two")
    assert str(tmp_path) not in (tmp_path / "one/manifest.json").read_text()


def test_the_order_of_files_and_arguments_does_not_matter(tmp_path: Path) -> None:
    write_build(tmp_path / "one", FILES, RECORD)
    turned = BuildRecord(RECORD.targets, RECORD.inputs, dict(reversed(RECORD.arguments.items())))
    write_build(tmp_path / "two", dict(reversed(FILES.items())), turned)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_new_build_replaces_the_old_one_and_its_caches(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_build(out, FILES, RECORD)
    (out / "model/__pycache__").mkdir()
    (out / "model/__pycache__/modeling.pyc").write_bytes(b"x")
    assert codes(out, {"train.py": "print(2)\n"}) == []
    assert set(tree(out)) == {"train.py", "manifest.json"}
    assert names_in(tmp_path) == ["out"]


def test_a_folder_of_foreign_files_is_refused_even_by_force(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for force in (False, True):
        (finding,) = write_build(tmp_path, FILES, RECORD, force=force).diagnostics
        assert finding.code == "FGC601"
        assert "`notes.txt`" in finding.message
    assert tree(tmp_path) == {"notes.txt": b"mine"}


def test_a_manifest_of_something_else_makes_no_folder_ours(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an app"}')
    assert codes(tmp_path) == ["FGC601"]


def test_a_file_added_to_a_build_is_foreign(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_build(out, FILES, RECORD)
    (out / "model/notes.txt").write_text("mine")
    assert codes(out, force=True) == ["FGC601"]
    assert (out / "model/notes.txt").exists()


def test_an_edited_file_is_overwritten_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_build(out, FILES, RECORD)
    (out / "train.py").write_text("print('edited')\n")
    (finding,) = write_build(out, FILES, RECORD).diagnostics
    assert finding.code == "FGC603"
    assert "`train.py`" in finding.message
    assert (out / "train.py").read_text() == "print('edited')\n"
    assert codes(out, force=True) == []
    assert (out / "train.py").read_text() == FILES["train.py"]


def test_a_deleted_file_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_build(out, FILES, RECORD)
    (out / "train.py").unlink()
    assert codes(out) == []
    assert (out / "train.py").exists()


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    assert codes(tmp_path) == []


def test_a_file_in_the_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    assert codes(tmp_path / "out") == ["FGC602"]
    assert codes(tmp_path / "out/below") == ["FGC602"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    assert codes(tmp_path / "out") == []
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real/train.py").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["_write", "_sync", "take_place_of"])
def test_whatever_fails_the_old_build_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    out = tmp_path / "out"
    write_build(out, FILES, RECORD)
    before = tree(out)
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == (2 if step == "_write" else 1):
            raise error

    monkeypatch.setattr(writing, step, fail)
    if isinstance(error, OSError):
        assert codes(out, {"train.py": "new", "b.py": "new"}) == ["FGC602"]
    else:
        with pytest.raises(type(error)):
            write_build(out, {"train.py": "new", "b.py": "new"}, RECORD)
    assert tree(out) == before
    assert names_in(tmp_path) == ["out"]


@pytest.mark.parametrize("swap", [exchange._exchange, lambda first, second: False], ids=["exchange", "move aside"])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: Callable[[Path, Path], bool]
) -> None:
    monkeypatch.setattr(exchange, "_exchange", swap)
    out = tmp_path / "out"
    write_build(out, {"a": "1"}, RECORD)
    write_build(out, {"a": "2"}, RECORD)
    assert (out / "a").read_text() == "2"
    assert names_in(tmp_path) == ["out"]


def test_a_move_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_exchange", lambda first, second: False)
    out = tmp_path / "out"
    write_build(out, {"a": "1"}, RECORD)
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if target == out and not path.name.endswith("-old"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        write_build(out, {"a": "2"}, RECORD)
    assert (out / "a").read_text() == "1"
    assert names_in(tmp_path) == ["out"]


def test_names_that_leave_the_folder_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    for name in ("/etc/passwd", "../up", "a/../../b"):
        with pytest.raises(ValueError, match="relative"):
            write_build(tmp_path / "out", {name: ""}, RECORD)


def test_the_manifest_says_what_went_in_and_what_came_out(tmp_path: Path) -> None:
    write_build(tmp_path / "out", {"a.bin": b"\x00"}, RECORD)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["inputs"] == {"a.yaml": content_hash("main: 1\n")}
    assert manifest["outputs"] == {"a.bin": content_hash(b"\x00")}
    assert manifest["arguments"] == {"lr": 0.1, "flag": None}


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that cannot be renamed, as a volume of a container."""
    folder = tmp_path / "volume"
    folder.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == folder)
    monkeypatch.setattr(exchange, "take_place_of", lambda *_: pytest.fail("a mounted folder cannot be renamed"))
    return folder


def test_a_mounted_folder_is_filled_and_filled_anew(mounted: Path) -> None:
    (mounted / "lost+found").mkdir()
    assert codes(mounted) == []
    assert tree(mounted).keys() == {*FILES, "manifest.json"}
    number = mounted.stat().st_ino
    assert codes(mounted, {"train.py": "print(2)\n", "other/part.py": ""}) == []
    assert tree(mounted).keys() == {"train.py", "other/part.py", "manifest.json"}
    assert (mounted / "train.py").read_text() == "print(2)\n" and mounted.stat().st_ino == number
    (mounted / "train.py").write_text("mine")
    assert codes(mounted) == ["FGC603"]


def test_what_a_killed_build_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    for name in (".out.fgc-build-abc", ".out.fgc-build-def-old", ".other.fgc-build-abc", ".out-mine"):
        (tmp_path / name / "model").mkdir(parents=True)
    assert codes(tmp_path / "out") == []
    assert sorted(names_in(tmp_path)) == [".other.fgc-build-abc", ".out-mine", "out"]
    (tmp_path / "out").rename(tmp_path / ".out.fgc-build-abc-old")  # killed between two renames
    (tmp_path / ".out.fgc-build-abc-old/train.py").write_text("mine")
    assert codes(tmp_path / "out") == ["FGC603"]


def test_builds_into_one_folder_take_turns(tmp_path: Path) -> None:
    def build(number: int) -> list[str]:
        return codes(tmp_path / "out", {"train.py": f"print({number})\n", f"part_{number}.py": "x = 1\n" * 1000})

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(build, range(40))) == [[]] * 40
    number = (tmp_path / "out/train.py").read_text().removeprefix("print(").removesuffix(")\n")
    assert set(tree(tmp_path / "out")) == {"train.py", f"part_{number}.py", "manifest.json"}
    assert names_in(tmp_path) == ["out"]

"""Looking for lines that a block scalar loses takes linear time, however many line ends stand in it."""

from pathlib import Path

import pytest
from fgc.lint import taken_lines
from fgc.workspace import FileStore, open_project


def walked_lines(folder: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Compiles a block scalar with so many line ends of an old Macintosh; returns how many lines were looked at."""
    lines = 0
    line_end = taken_lines._line_end

    def counted(text: str, at: int) -> int:
        nonlocal lines
        lines += 1
        return line_end(text, at)

    configs = folder / "templates/configs"
    configs.mkdir(parents=True, exist_ok=True)
    (folder / "forgather_workspace").mkdir(exist_ok=True)
    (folder / "forgather_workspace/base_directories.yaml").write_text("")
    (folder / "meta.yaml").write_text('name: "Lines"\nsearchdir: ["templates"]\nconfig_prefix: "configs"\n')
    end = "\r" * count
    (configs / "a.yaml").write_text(f"a: |\n  {end}\n", newline="")
    with monkeypatch.context() as patched:
        patched.setattr(taken_lines, "_line_end", counted)
        open_project(folder, FileStore(checks_calls=False)).compile("a.yaml", {})
    return lines


def test_twice_the_lines_are_twice_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = (walked_lines(tmp_path / str(count), count, monkeypatch) for count in (20, 40))
    assert 0 < long <= 3 * short

"""Layouts kept on disk: the second build takes them from there, and never anything that is not whole."""

import subprocess
import sys
from pathlib import Path

import pytest
from fgc.emit.layout import black_layout
from fgc.workspace.kept import KeptTexts
from fgc.workspace.layouts import kept_layout

TEXT = "x = {  'a':1,\n 'b' : [1,2] }\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_a_layout_is_black_s_and_loads_black_once(cache: Path) -> None:
    program = (
        "import sys\nfrom fgc.workspace.layouts import kept_layout\n"
        f"sys.stdout.write(kept_layout({TEXT!r}))\nsys.stderr.write(str('black' in sys.modules))"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(2)]
    assert [run.stdout for run in runs] == [black_layout(TEXT)] * 2
    assert [run.stderr for run in runs] == ["True", "False"]


def test_an_entry_that_is_not_whole_counts_for_nothing(cache: Path) -> None:
    laid_out = kept_layout(TEXT)
    (entry,) = (cache / "layouts").iterdir()
    entry.write_text(entry.read_text()[:-5])
    assert kept_layout(TEXT) == laid_out


def test_a_cache_that_cannot_be_written_is_no_failure(cache: Path) -> None:
    (cache / "layouts").write_text("a file is in the way")
    assert kept_layout(TEXT) == black_layout(TEXT)


def test_the_oldest_entries_leave(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgc.workspace.kept._MAX_ENTRIES", 8)
    kept = KeptTexts("numbers")
    for number in range(9):
        kept.put(str(number), f"{number}")
    assert len(list((cache / "numbers").iterdir())) == 7
    assert kept.get("8") == "8"

"""A package that is not installed and looks like one that is: only what Python can import is one."""

import sys
from pathlib import Path

import pytest
from fgc.workspace import FileStore
from fgc.workspace.callables import CallableFiles, _packages


@pytest.mark.parametrize(
    ("file", "similar"),
    [
        ("grapplings/__init__.py", "grapplings"),
        ("grapplings.py", "grapplings"),
        ("grapplings.so", "grapplings"),
        ("grapplings/README", None),
        ("grapplings-1.0.dist-info/METADATA", None),
    ],
)
def test_a_similar_package_has_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, similar: str | None
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sys.path", ["", *sys.path])
    _packages.cache_clear()
    try:
        assert CallableFiles(tmp_path, FileStore()).similar_package("graplings") == similar
    finally:
        _packages.cache_clear()

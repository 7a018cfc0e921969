"""A package of fgc goes to GGUF by way of its architecture."""

from pathlib import Path

from fgc.cli.main import main as fgc
from fgc_runtime.export.__main__ import main

from tests.runtime.convert.conftest import Convert
from tests.runtime.export.conftest import save_folder


def test_a_package_becomes_the_file_that_its_source_becomes(tmp_path: Path, run_conversion: Convert) -> None:
    folder = save_folder(tmp_path / "hf", "qwen3")
    assert run_conversion(folder, tmp_path / "mine") == 0
    words = ["convert", str(tmp_path / "mine"), str(tmp_path / "a.gguf"), "--to", "gguf:qwen3", "--no-verify"]
    assert fgc(words) == 0
    assert main(["gguf", str(folder), str(tmp_path / "b.gguf"), "--name", "mine"]) == 0
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    assert not list(tmp_path.glob(".fgc-gguf-*"))
    assert fgc(words) == 2, "a file that is there is not replaced"

"""Files that are no templates: said in a line, through the command line."""

import os
from pathlib import Path

import pytest
from fgc.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(list(argv))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\x00\x01\x02", "is a binary file"),
        (b"a: \xe4\xf6\n", "is not UTF-8 text: byte 0xe4 in line 1"),
        (b"a: 1\nb: \xff\n", "is not UTF-8 text: byte 0xff in line 2"),
        (b"", "the configuration is empty"),
        (b"x" * 50_000_000, "has 50,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_one_error(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "main.yaml"
    path.write_bytes(content)
    code, _, err = run(capsys, "pp", str(path))
    assert code == 1
    assert message in err
    assert err.count("error[") == 1


def test_an_included_file_that_is_no_text_is_an_error_at_that_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "main.yaml").write_text('-- include "bad.yaml"\n\na: 1\n')
    (tmp_path / "bad.yaml").write_bytes(b"\x00\x01")
    code, out, err = run(capsys, "pp", str(tmp_path / "main.yaml"))
    assert code == 1
    assert "bad.yaml` is a binary file" in err
    assert "a: 1" in out


def test_a_folder_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "pp", str(tmp_path))
    assert code in (1, 2)
    assert err.strip()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "main.yaml"
    path.write_text("a: 1\n")
    path.chmod(0)
    code, _, err = run(capsys, "pp", str(path))
    assert code in (1, 2)
    assert "cannot be read" in err


def test_a_byte_order_mark_is_no_character(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "main.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: {{ missing }}\n")
    _, _, err = run(capsys, "pp", str(path))
    assert "main.yaml:1:7" in err


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_move_no_line(end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "main.yaml"
    path.write_bytes(f"a: 1{end}b: 2{end}c: {{{{ missing }}}}{end}".encode())
    _, out, err = run(capsys, "pp", str(path))
    assert "main.yaml:3:7" in err
    assert "\r" not in out


def test_a_tab_in_the_indentation_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "main.yaml"
    path.write_text("a:\n  b: 1\n\tc: 2\n")
    code, _, err = run(capsys, "pp", str(path))
    assert code == 1
    assert "error[FGC311]" in err and "main.yaml:3:1" in err

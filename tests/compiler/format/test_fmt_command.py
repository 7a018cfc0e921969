"""`fgc fmt`: what is written, what is printed, and the exit code."""

import io
import stat
import sys
from pathlib import Path

import pytest
from fgc.cli.main import main

UGLY, NEAT = "--  set x=1\na: {{x}}\n", "-- set x = 1\na: {{ x }}\n"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(UGLY)
    file.chmod(0o640)
    assert main(["fmt", "a.yaml"]) == 0
    assert file.read_text() == NEAT
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_a_link_goes_on_pointing_at_the_file_that_is_formatted(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(UGLY)
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    assert main(["fmt", "link.yaml"]) == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert (tmp_path / "a.yaml").read_text() == NEAT


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_stay(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.yaml").write_bytes(UGLY.replace("\n", end).encode())
    assert main(["fmt", "a.yaml"]) == 0
    assert (tmp_path / "a.yaml").read_bytes() == NEAT.replace("\n", end).encode()


def test_below_folders_templates_are_found_and_hidden_folders_are_not(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yml", "sub/d.txt", ".hidden/e.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(UGLY)
    assert main(["fmt", "."]) == 0
    formatted = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.read_text() == NEAT}
    assert formatted == {"a.yaml", "b.yml"}


@pytest.mark.parametrize("paths", [["."], ["chat.jinja", "parts/used.jinja", "parts/inner.jinja"]])
def test_jinja_files_are_formatted_only_if_a_template_draws_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], paths: list[str]
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "meta.yaml").write_text("name: files that are named belong to a project\n")
    (tmp_path / "a.yaml").write_text("-- include 'parts/used.jinja'\n")
    (tmp_path / "parts/used.jinja").write_text(UGLY + "-- include 'inner.jinja'\n")
    (tmp_path / "parts/inner.jinja").write_text(UGLY)
    (tmp_path / "chat.jinja").write_text("###Instruction:\n" + UGLY)
    assert main(["fmt", *paths]) == 0
    assert (tmp_path / "chat.jinja").read_text() == "###Instruction:\n" + UGLY
    assert (tmp_path / "parts/used.jinja").read_text().startswith(NEAT)
    assert (tmp_path / "parts/inner.jinja").read_text() == NEAT
    assert ("`chat.jinja` is not formatted" in capsys.readouterr().err) is ("chat.jinja" in paths)


def test_check_lists_what_would_change_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ugly.yaml").write_text(UGLY)
    (tmp_path / "neat.yaml").write_text(NEAT)
    assert main(["fmt", "--check", "."]) == 1
    captured = capsys.readouterr()
    assert captured.out == "ugly.yaml\n"
    assert captured.err == "1 file would change, 1 file unchanged\n"
    assert (tmp_path / "ugly.yaml").read_text() == UGLY
    assert main(["fmt", "--check", "neat.yaml"]) == 0


def test_diff_prints_what_would_change_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(UGLY)
    assert main(["fmt", "--diff", "a.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "--- a.yaml"
    assert lines[3:] == ["---  set x=1", "-a: {{x}}", "+-- set x = 1", "+a: {{ x }}"]
    assert (tmp_path / "a.yaml").read_text() == UGLY


def test_a_file_with_errors_is_left_alone_and_others_are_formatted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("--  set x=\n")
    (tmp_path / "good.yaml").write_text(UGLY)
    assert main(["fmt", "."]) == 2
    assert (tmp_path / "bad.yaml").read_text() == "--  set x=\n"
    assert (tmp_path / "good.yaml").read_text() == NEAT
    assert "bad.yaml:1:" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b"])
def test_a_file_that_is_no_text_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    assert main(["fmt", "a.yaml"]) == 2
    assert (tmp_path / "a.yaml").read_bytes() == content


def test_standard_input_is_formatted_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(UGLY))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == NEAT


def test_standard_input_with_errors_comes_out_as_it_went_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("{{ a"))
    assert main(["fmt", "-"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "{{ a"
    assert "<stdin>:1:1" in captured.err


@pytest.mark.parametrize("argv", [[], ["missing.yaml"]])
def test_nothing_to_format_is_a_mistake(argv: list[str]) -> None:
    assert main(["fmt", *argv]) == 2

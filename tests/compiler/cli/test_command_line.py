"""What the command line itself answers: help, versions, wrong words, wrong files."""

import subprocess
import sys
from pathlib import Path

import pytest
from fgc.cli.main import command_names, main

from .conftest import Run

# these become another program, which has its own help
_BECOME_ANOTHER = ("serve", "control", "eval", "verify-resume")


@pytest.mark.parametrize("command", ["control", "eval", "verify-resume"])
def test_a_command_that_becomes_another_program_has_help_with_examples(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "fgc", command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and f"fgc {command}" in done.stdout and "example" in done.stdout


@pytest.mark.parametrize("command", [name for name in command_names() if name not in _BECOME_ANOTHER])
def test_every_command_has_help_with_examples(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(command, "--help")
    text = capsys.readouterr().out
    assert "examples:" in text and f"fgc {command}" in text


def test_help_lists_every_command_with_a_sentence(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run("--help")
    lines = capsys.readouterr().out.splitlines()
    for name in command_names():
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert len(line.split(maxsplit=1)[1]) > 20


def test_a_misspelt_command_is_answered_with_the_nearest(run: Run) -> None:
    result = run("chekc")
    assert result.code == 2 and "did you mean `check`?" in result.err


@pytest.mark.parametrize(("word", "command"), [("init", "ws init"), ("lint", "check"), ("compile", "build")])
def test_the_word_of_another_tool_is_answered_with_ours(run: Run, word: str, command: str) -> None:
    assert run(word).err == f"fgc: unknown command `{word}`; did you mean `{command}`?\n"


def test_help_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    for asked, same in ((["help"], ["--help"]), (["help", "ws", "init"], ["ws", "init", "--help"])):
        with pytest.raises(SystemExit, match="0"):
            main(asked)
        out = capsys.readouterr().out
        with pytest.raises(SystemExit, match="0"):
            main(same)
        assert out == capsys.readouterr().out != ""


def test_no_command_prints_help_and_fails(run: Run) -> None:
    result = run()
    assert result.code == 2 and "commands:" in result.err


def test_a_misspelt_file_is_answered_with_the_nearest(run: Run) -> None:
    Path("config.yaml").write_text("a: 1\n")
    result = run("pp", "confg.yaml")
    assert result.code == 2 and "did you mean `config.yaml`?" in result.err


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"\xff\xfe\x00", "FGC003", "not UTF-8"),
        (b"a: \x00", "FGC003", "binary"),
        (b"a: 1\n" * 1_000_000, "FGC001", "bytes"),
        (b"", "FGC306", "empty"),
    ],
)
def test_files_that_are_no_templates(run: Run, content: bytes, code: str, words: str) -> None:
    Path("a.yaml").write_bytes(content)
    result = run("check", "a.yaml")
    assert result.code == 1 and code in result.err and words in result.err


def test_a_byte_order_mark_and_crlf_are_no_trouble(run: Run) -> None:
    Path("a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: {{ nope }}\r\n")
    result = run("check", "a.yaml")
    assert "a.yaml:2:7" in result.err


def test_a_folder_given_as_a_file_to_pp(run: Run) -> None:
    Path("folder.yaml").mkdir()
    result = run("pp", "folder.yaml")
    assert result.code != 0 and "folder" in result.err


def test_a_link_that_leads_to_itself_is_no_bug(run: Run) -> None:
    Path("self").symlink_to("self")
    for words in (("pp", "self"), ("-p", "self", "meta"), ("ls", "self"), ("check", "self"), ("ls", "-r", "self")):
        result = run(*words)
        assert result.code == 2 and "self" in result.err and "bug" not in result.err, words


def test_wrong_definitions(run: Run) -> None:
    Path("a.yaml").write_text("a: 1\n")
    assert run("pp", "a.yaml", "-D", "novalue").code == 2
    assert run("pp", "a.yaml", "--vars", "missing.json").code == 2


def test_targets_and_graph_show_places_and_kinds(run: Run) -> None:
    Path("a.yaml").write_text("m: !call:torch.nn:Linear [1, 2]\nn: 3\n")
    assert run("targets", "a.yaml").out.splitlines()[0].split() == ["m", "singleton", "torch.nn:Linear", "a.yaml:1:1"]
    assert "m: torch.nn:Linear" in run("graph", "a.yaml").out

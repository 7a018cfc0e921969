"""Files and names that others made: a finding or a sentence, never a wait, a crash or a command to the terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fgc.printing import visible

from .conftest import Run

LONG_NAME = "a" * 300 + ".yaml"


@pytest.mark.parametrize("kind", ["pipe", "endless", "socket", "folder", "large", "unreadable"])
def test_what_is_no_regular_file_is_a_finding_and_stops_no_other(run: Run, kind: str) -> None:
    Path("good.yaml").write_text("a: {{ nothing }}\n")
    path = Path("bad.yaml")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "socket":
            path.symlink_to("/dev/null")
        case "folder":
            path.mkdir()
        case "large":
            with path.open("wb") as file:
                file.truncate(10**11)
        case "unreadable":
            path.symlink_to("/proc/self/mem")
    Path("m.yaml").write_text("-- include 'bad.yaml'\n")
    result = run("check", "m.yaml", "good.yaml")
    assert result.code == 1 and "good.yaml:1:7" in result.err and "bad.yaml" in result.err


def test_names_that_no_file_can_have(run: Run) -> None:
    names = (LONG_NAME, "a\\0b", "/".join("a" * 2000), "caf\\udce9")
    for number, name in enumerate(names):
        Path(f"{number}.yaml").write_text(f'-- include "{name}"\n')
    result = run("check", *(f"{number}.yaml" for number in range(len(names))))
    assert result.code == 1 and all(f"{number}.yaml:1" in result.err for number in range(len(names)))
    assert run("check", LONG_NAME).code == run("check", "a\0b").code == 2


def test_half_a_character_is_a_finding_at_its_place(run: Run) -> None:
    Path("m.yaml").write_text('a: 1\nb: {{ "\\ud800" }}\n')
    result = run("check", "m.yaml")
    assert result.code == 1 and "m.yaml:2:7" in result.err and "is not allowed in YAML" in result.err


@pytest.mark.parametrize("bad", ["\x1b[2J", "\x9b2J", "\u202e", "\u2066", "\x07", "\x7f", "\u2028", "\U000e0041"])
def test_names_messages_and_lines_do_not_reach_the_terminal_as_commands(run: Run, bad: str) -> None:
    Path("m.yaml").write_text(f"-- include '{bad}x.yaml'\n")
    for words in (("check", "m.yaml"), ("check", "m.yaml", "--format", "github"), ("explain", "m.yaml", "a")):
        result = run(*words)
        assert result.code and bad not in result.out + result.err
    report = run("check", "m.yaml", "--format", "json").out
    assert bad not in report and bad in json.loads(report)["findings"][0]["message"]
    Path(f"{bad}y.yaml").write_text("a: {{ nothing }}\n")
    result = run("check", ".")
    assert bad not in result.out + result.err


def test_what_is_printed_into_a_file_is_the_document_as_it_is(run: Run) -> None:
    Path("m.yaml").write_text('a: "\u202e"\n')
    assert run("pp", "m.yaml").out.rstrip() == 'a: "\u202e"'


def test_the_caret_stands_below_what_is_shown(run: Run) -> None:
    Path("m.yaml").write_text("a: '\u202e{{ nothing }}'\n")
    lines = run("check", "m.yaml").err.splitlines()
    shown, carets = lines[3], lines[4]
    assert shown.index("nothing") == carets.index("^") and r"\u202e" in shown


def test_what_is_shown_keeps_letters_of_all_scripts() -> None:
    text = "déjà vu 名前 שלום مرحبا 👩‍🔬 \t\n"
    assert visible(text) == text


def run_fgc(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, **environment}
    command = [sys.executable, "-P", "-m", "fgc", *words]
    return subprocess.run(command, cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=60)


def test_a_terminal_that_lacks_letters_gets_escapes(run: Run) -> None:
    Path("m.yaml").write_text("é: {{ naïve }}\n")
    done = run_fgc("check", "m.yaml", PYTHONIOENCODING="ascii")
    assert done.returncode == 1 and "na\\xefve" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("epoch", ["abc", "99999999999999999999", "nan", "inf", "1e400"])
def test_a_date_that_is_none_is_said(run: Run, monkeypatch: pytest.MonkeyPatch, epoch: str) -> None:
    Path("m.yaml").write_text("a: {{ now() }}\n")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    result = run("pp", "m.yaml")
    assert result.code == 2 and f"`SOURCE_DATE_EPOCH={epoch}`: is not a time" in result.err


def test_a_working_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = f"cd gone && rmdir ../gone && '{sys.executable}' -P -m fgc check m.yaml"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "fgc: the current folder no longer exists: change to another one\n")


def test_a_user_without_a_home_can_check(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m.yaml").write_text("a: {{ user_home_dir() }}\n")
    for name in ("HOME", "FGC_CACHE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError()))
    assert run("check", "m.yaml").code == 0


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", '{"format": 1, "outputs": 3}', "\xff", ""])
def test_a_manifest_that_is_none_is_a_folder_that_no_build_wrote(run: Run, content: str) -> None:
    Path("m.yaml").write_text("main: 1\n")
    Path("o").mkdir()
    Path("o/manifest.json").write_text(content)
    result = run("build", "m.yaml", "-o", "o")
    assert result.code == 1 and "FGC601" in result.out + result.err
    assert run("check", "--generated", "o").code in (1, 2)


def test_layout_waits_for_no_pipe_among_the_templates(run: Run) -> None:
    os.mkfifo("pipe.yaml")
    for name in ("chat.jinja", "chat.j2"):
        Path(name).write_text("{{ x }}\n")
        assert "is not formatted" in run("fmt", "--check", name).err

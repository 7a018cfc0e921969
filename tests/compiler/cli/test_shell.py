"""`fgc -i`: what its lines do, what it completes, and that nothing but the user ends it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from fgc.cli.main import command_names, main
from fgc.cli.shell.run import Shell
from fgc.cli.shell.state import ShellState
from fgc.cli.shell.words import candidates

from .conftest import Run

CONFIG = """\
dynamic_args: { steps: { names: [--max-steps], type: int, help: How long } }
meta: { config_name: One }
main: {{ steps | default(3) }}
"""


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a project of two configurations, and a folder whose name has a space."""
    files = {
        "forgather_workspace/x": "",
        "p/meta.yaml": "name: P\ndefault_config: two.yaml\n",
        "p/templates/configs/one.yaml": CONFIG,
        "p/templates/configs/two.yaml": "main: 2\n",
        "my folder/x": "",
    }
    here = tmp_path / "there"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path / "cache"))
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    return here


def completed(line: str) -> list[str]:
    state = ShellState()
    return [found.word for found in candidates(line, state, dict.fromkeys(command_names(), ""))]


def test_words_are_completed_by_what_there_is(two: Path) -> None:
    assert completed("tre") == ["trefs"]
    assert set(completed("")) >= {"ls", "train", "use", "cd", "exit"}
    assert completed("cd m") == ["'my folder/'"]
    assert completed("cd 'my f") == ["'my folder/'"]
    assert completed("use ") == []
    os.chdir("p")
    assert completed("use ") == completed("fgc train -t ") == ["one.yaml", "two.yaml"]
    assert "--dry-run" in completed("train --dry")
    assert completed("construct --target m") == ["main"]
    assert completed("ws in") == ["init"]
    assert completed("help cons") == ["construct"]
    assert completed("pp templates/configs/o") == ["templates/configs/one.yaml"]
    assert completed("inf client --hea") == ["--health"]
    assert completed("nonsense ") == completed("pp 'nowhere/") == []


def test_options_that_a_configuration_declares_are_completed(two: Path) -> None:
    os.chdir("p")
    state = ShellState("one.yaml")
    (found,) = candidates("train --max", state, {"train": ""})
    assert (found.word, found.length, found.meaning) == ("--max-steps", len("--max"), "How long")
    state.use("two")
    state.forget()
    assert not list(candidates("train --max", state, {"train": ""}))


def take(shell: Shell, capfd: pytest.CaptureFixture[str], line: str) -> tuple[int, str]:
    shell.take(line)
    printed = capfd.readouterr()
    return shell.code, printed.out + printed.err


def test_lines_run_commands_on_the_chosen_configuration(two: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shell = Shell(ShellState(), main)
    assert take(shell, capfd, "cd p") == (0, "")
    assert shell.state.place == "p"
    assert take(shell, capfd, "pp") == (0, "main: 2")
    assert take(shell, capfd, "use one") == (0, "")
    assert shell.state.place == "p:one.yaml"
    assert "main: 3" in take(shell, capfd, "fgc pp")[1]
    assert "main: 7" in take(shell, capfd, "pp --max-steps 7")[1]
    assert take(shell, capfd, "pp -t two.yaml") == (0, "main: 2")
    assert "one.yaml" in take(shell, capfd, "use")[1]
    assert take(shell, capfd, "use -") == (0, "") and shell.state.config is None
    assert take(shell, capfd, "!echo $((40 + 2)); exit 3") == (3, "42\n")
    assert take(shell, capfd, "") == take(shell, capfd, "# a comment") == (3, "")


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("lss", 2, "did you mean `ls`?"),
        ("pp 'x", 2, "no closing quotation"),
        ("use oen.yaml", 2, "did you mean `one.yaml`?"),
        ("use a b", 2, "one name"),
        ("cd nowhere", 2, "`nowhere`: No such file"),
        ("cd templates/configs/one.yaml", 2, "Not a directory"),
        ("train -d", 2, "expected one argument"),
        ("construct --target man", 1, "unknown target `man`"),
        ("help cd", 0, "where the shell started"),
        ("help train", 0, "usage: fgc train"),
        ("help", 0, "in this shell:"),
        ("explain", 0, "FGC204"),
    ],
)
def test_no_line_ends_the_shell(two: Path, capfd: pytest.CaptureFixture[str], line: str, code: int, text: str) -> None:
    os.chdir("p")
    shell = Shell(ShellState("one.yaml"), main)
    assert take(shell, capfd, line)[0] == code
    shell.take(line)
    printed = capfd.readouterr()
    assert text in printed.out + printed.err and "Traceback" not in printed.err


def test_a_configuration_is_forgotten_where_it_is_unknown(two: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shell = Shell(ShellState(), main)
    shell.take("cd p")
    shell.take("use one")
    assert "`one.yaml` is not a configuration here" in take(shell, capfd, "cd")[1]
    assert shell.state.config is None and Path.cwd() == two
    assert take(shell, capfd, "use one")[0] == 2


@contextmanager
def terminal(*words: str, home: Path) -> Iterator["pexpect.spawn[str]"]:
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(home),
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        "NO_COLOR": "1",
    }
    command = ["-m", "fgc", *words]
    child = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=30, env=environment, dimensions=(40, 160))  # type: ignore[arg-type]
    try:
        yield child
    finally:
        child.close(force=True)


def test_a_session_on_a_terminal(two: Path, tmp_path: Path) -> None:
    with terminal("-p", "p", "-i", home=tmp_path) as shell:
        shell.expect("Ctrl-D ends")
        shell.expect("p>")
        shell.send("use on\t")
        shell.expect(r"e\.yaml")  # what was typed before may not be drawn again
        shell.send("\r")
        shell.expect(r"p:one\.yaml>")
        shell.send("nonsense")
        shell.sendintr()
        shell.expect(r"p:one\.yaml>")
        shell.send("pp\r")
        shell.expect("main: 3")
        shell.expect(r"p:one\.yaml>")
        shell.send("!sleep 30\r")
        time.sleep(0.5)
        shell.sendintr()
        shell.expect(r"p:one\.yaml !>")
        shell.send("\x1b[A\x1b[A\r")  # up twice: `pp` again
        shell.expect("main: 3")
        shell.expect(r"p:one\.yaml>")
        time.sleep(0.1)
        shell.sendcontrol("d")
        shell.expect(pexpect.EOF)
    assert shell.exitstatus == 0
    history = tmp_path / "fgc/shell_history"
    assert "+use one.yaml" in history.read_text() and history.stat().st_mode & 0o077 == 0


def test_lines_through_a_pipe(two: Path) -> None:
    import subprocess

    command = [sys.executable, "-m", "fgc", "-p", "p", "-t", "one", "-i", "ls"]
    done = subprocess.run(command, input="pp\nexit\nls\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.count("one.yaml") == 1 and done.stdout.rstrip().endswith("main: 3")


def test_what_keeps_a_shell_from_starting_is_said(run: Run, two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "`nowhere`: No such file" in run("-p", "nowhere", "-i").err
    assert "did you mean `one.yaml`" in run("-p", str(two / "p"), "-t", "oen.yaml", "-i").err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("fgc.cli.shell.terminal.package_folder", lambda name: None)
    result = run("-i")
    assert result.code == 2 and "pip install 'fgc[shell]'" in result.err

"""`fgc completion`: the scripts are understood by their shells and complete what there is."""

import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pexpect
import pytest
from fgc.cli.main import command_names
from fgc.cli.runtime_words import option_words

from .conftest import Run


def completed(script: str, *words: str, folder: Path | None = None) -> list[str]:
    line = " ".join(f"'{word}'" for word in words)
    ask = f'\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _fgc; printf "%s\\n" "${{COMPREPLY[@]}}"\n'
    bash = ["bash", "--norc", "-c", script + ask]
    return subprocess.run(bash, capture_output=True, text=True, check=True, cwd=folder).stdout.split()


def test_bash_completes_commands_and_options(run: Run) -> None:
    script = run("completion", "bash").out
    assert {"check", "checkpoint"} == set(completed(script, "fgc", "che"))
    assert "--dry-run" in completed(script, "fgc", "-t", "x", "train", "--dry")
    assert completed(script, "fgc", "ws", "in") == ["init"]


def test_names_of_configurations(run: Run, project: Path) -> None:
    assert run("-p", str(project), "completion", "configs").out == "a.yaml\nb.yaml\n"
    assert run("completion", "configs").out == ""


def test_options_that_a_configuration_declares(run: Run) -> None:
    Path("c.yaml").write_text("dynamic_args:\n    - { names: [--max-steps, -s] }\nmain: 1\n")
    assert run("completion", "options", "build", "c.yaml").out == "--max-steps\n-s\n"
    for words in ((), ("build",), ("build", "missing.yaml"), ("ws", "c.yaml"), ("-p", "nowhere", "build")):
        assert run("completion", "options", *words).out == ""
    script = f"fgc() {{ '{sys.executable}' -m fgc \"$@\"; }}\n" + run("completion", "bash").out
    assert "--max-steps" in completed(script, "fgc", "build", "c.yaml", "--ma")


def test_a_name_with_a_space_is_one_word(run: Run, project: Path) -> None:
    (project / "templates/configs/two words.yaml").write_text("a: 1\n")
    fgc = f"fgc() {{ '{sys.executable}' -m fgc \"$@\"; }}\n"
    ask = '\nCOMP_WORDS=(fgc -t two); COMP_CWORD=2; _fgc; printf "<%s>" "${COMPREPLY[@]}"'
    script = fgc + run("completion", "bash").out + ask
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, cwd=project)
    assert done.stdout == "<two\\ words.yaml>"


NASTY_NAMES = [
    "a$(touch PWNED).yaml",
    "b`touch PWNED`.yaml",
    "c'quote.yaml",
    'd"quote.yaml',
    "e two words.yaml",
    "f*.yaml",
    "g;touch PWNED;.yaml",
    "h&touch PWNED.yaml",
    "i\\back.yaml",
    "j!!.yaml",
    "k{x,y}.yaml",
    "l$HOME.yaml",
    "m[x]?.yaml",
    "n\u00fc.yaml",
    "o>PWNED.yaml",
    "p#x.yaml",
]
UNPRINTABLE_NAMES = ["v\ntouch PWNED.yaml", "w\x1b[2J.yaml"]
START = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}


@pytest.fixture
def nasty_project(run: Run) -> Path:
    configs = Path("p/templates/configs")
    configs.mkdir(parents=True)
    Path("forgather_workspace").mkdir()
    Path("p/meta.yaml").write_text("name: P\n")
    for name in (*NASTY_NAMES, *UNPRINTABLE_NAMES):
        (configs / name).write_text("a: 1\n")
    return Path("p")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_tab_types_a_name_of_any_characters_so_that_the_shell_reads_that_name(
    run: Run, nasty_project: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (nasty_project / "names").write_text(run("-p", str(nasty_project), "completion", "configs").out)
    (nasty_project / "script").write_text(run("completion", shell).out)
    fgc = 'fgc() { if [ "$1" = completion ]; then cat names; else printf "%s\\0" "$2" >> given; fi; }'
    terminal = pexpect.spawn(shell, START[shell], cwd=nasty_project, encoding="utf-8", timeout=30, echo=False)
    terminal.sendline(f"PS1='ready''> '; stty -echo; {fgc}; source ./script")
    terminal.expect("ready> ")
    for name in NASTY_NAMES:
        terminal.send(f"fgc -t {name[0]}\t")
        terminal.send("\r")
        terminal.expect("ready> ")
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)
    assert (nasty_project / "given").read_text().split("\0")[:-1] == NASTY_NAMES
    assert not (nasty_project / "PWNED").exists()


def test_fish_takes_names_as_data(run: Run, nasty_project: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    (nasty_project / "names").write_text(run("-p", str(nasty_project), "completion", "configs").out)
    (nasty_project / "script").write_text(run("completion", "fish").out)
    ask = "function fgc; cat names; end; source ./script; complete -C 'fgc -t '"
    done = subprocess.run(["fish", "-N", "-c", ask], capture_output=True, text=True, check=True, cwd=nasty_project)
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == set(NASTY_NAMES)
    assert not (nasty_project / "PWNED").exists()


def test_names_that_would_move_the_cursor_or_be_other_names_are_left_out(run: Run, nasty_project: Path) -> None:
    assert run("-p", str(nasty_project), "completion", "configs").out.splitlines() == NASTY_NAMES


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_of_other_shells_name_every_command(run: Run, shell: str) -> None:
    script = run("completion", shell).out
    assert all(f" {name}" in script for name in command_names())
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("file", ["serve/arguments.py", "client/arguments.py"])
def test_options_that_are_read_from_a_file_are_all_that_the_program_has(file: str) -> None:
    module = import_module("fgc_runtime." + file.removesuffix(".py").replace("/", "."))
    has = set(module._parser()._option_string_actions) - {"-h", "--help"}
    assert set(option_words("fgc_runtime", file)) == has

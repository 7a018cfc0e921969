"""`fgc completion`: the scripts are understood by their shells and complete what there is."""

import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

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


def test_a_name_with_a_space_is_one_word(run: Run, project: Path) -> None:
    (project / "templates/configs/two words.yaml").write_text("a: 1\n")
    fgc = f"fgc() {{ '{sys.executable}' -m fgc \"$@\"; }}\n"
    ask = '\nCOMP_WORDS=(fgc -t two); COMP_CWORD=2; _fgc; printf "<%s>" "${COMPREPLY[@]}"'
    script = fgc + run("completion", "bash").out + ask
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, cwd=project)
    assert done.stdout == "<two words.yaml>"


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

"""Secrets: the program reads them when it starts, and nothing that is written holds them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fgc import Project
from fgc.text import is_secret, is_secret_variable

from .conftest import Run

SECRET = "s3cr3t"
CONFIG = """\
dynamic_args:
    api_key: { type: str }
main: !call:print [ "{{ getenv('MY_SECRET') }}", "a{{ hf_token }}b", {{ api_key | toyaml }}, "{{ eos_token }}" ]
"""


def written(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_a_build_holds_no_secret_and_its_program_reads_them(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m.yaml").write_text(CONFIG)
    monkeypatch.setenv("MY_SECRET", SECRET)
    given = ("--api-key", SECRET, "-D", f"hf_token={SECRET}", "-D", "eos_token=</s>")
    result = run("build", "m.yaml", "-o", "o", *given)
    assert result.code == 0, result.err
    assert SECRET not in written(Path("o")) + result.out + result.err
    assert "never written to a file:  HF_TOKEN, API_KEY" in result.out
    program = Path("o/train.py").read_text()
    assert all(name in program for name in ("MY_SECRET", "HF_TOKEN", "API_KEY")) and "</s>" in program
    assert run("check", "--generated", "o").code == 0


def test_a_dry_run_passes_a_secret_on_and_does_not_show_it(run: Run) -> None:
    Path("m.yaml").write_text("main: !call:print [ {{ hf_token }} ]\n")
    result = run("train", "m.yaml", "--dry-run", "-D", f"hf_token={SECRET}")
    assert SECRET not in result.out and "HF_TOKEN=..." in result.out


@pytest.mark.parametrize("name", ["hf_token", "HF_TOKEN", "api_key", "wandb_api_key", "db_password", "client_secret"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


def test_names_of_secrets_in_the_environment() -> None:
    assert all(map(is_secret_variable, ("HF_TOKEN", "MY_TOKEN", "SIGNING_KEY", "api_key")))
    assert not any(map(is_secret_variable, ("EOS_TOKEN", "PORT", "MONKEY", "eos_token")))


@pytest.mark.parametrize("name", ["eos_token", "pad_token_id", "num_tokens", "key", "sort_key", "tokenizer", "monkey"])
def test_names_that_are_none(name: str) -> None:
    assert not is_secret(name)


NEEDED = {  # what a template says, what is set, and what the program prints; None if it does not start
    "{{ getenv('A_TOKEN') }}": [({}, None), ({"A_TOKEN": ""}, None), ({"A_TOKEN": "a"}, "a")],
    "x {{ getenv('A_TOKEN') }} y": [({}, None), ({"A_TOKEN": "a"}, "x a y")],
    "{{ getenv('A_TOKEN') or getenv('MY_API_KEY') }}": [
        ({}, None),
        ({"MY_API_KEY": "b"}, "b"),
        ({"A_TOKEN": "a"}, "a"),
    ],
    "{{ getenv('A_TOKEN', getenv('MY_API_KEY')) }}": [({}, None), ({"MY_API_KEY": "b"}, "b"), ({"A_TOKEN": "a"}, "a")],
    "{{ getenv('A_TOKEN') or 'c' }}": [({}, "c"), ({"A_TOKEN": "a"}, "a")],
    "{{ getenv('A_TOKEN', 'c') }}": [({}, "c"), ({"A_TOKEN": "a"}, "a")],
    "{{ getenv('A_TOKEN', none) }}": [({}, "None"), ({"A_TOKEN": "a"}, "a")],
    "{{ getenv('A_TOKEN') or none }}": [({}, "None"), ({"A_TOKEN": "a"}, "a")],
    "{{ getenv('A_TOKEN', default='c') }}": [({}, "c")],
    "{{ getenv('PLACE') }}": [({}, "None"), ({"PLACE": "a"}, "a")],
    "{{ getenv('PLACE') }}/x": [({}, None), ({"PLACE": ""}, "/x"), ({"PLACE": "a"}, "a/x")],
    "{{ joinpath(getenv('PLACE'), 'x') }}": [({}, None), ({"PLACE": "a"}, "a/x")],
    "{{ joinpath(getenv('PLACE') or 'b', 'x') }}": [({}, "b/x"), ({"PLACE": "a"}, "a/x")],
}


@pytest.mark.parametrize(("template", "cases"), NEEDED.items())
def test_what_nothing_stands_in_for_must_be_set(
    run: Run, template: str, cases: list[tuple[dict[str, str], str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A_TOKEN", "MY_API_KEY", "PLACE"):
        monkeypatch.delenv(name, raising=False)
    Path("m.yaml").write_text(f'main: !call:print [ "{template}" ]\n')
    result = run("build", "m.yaml", "-o", "o")
    assert result.code == 0, result.err
    for given, printed in cases:
        command, environment = [sys.executable, "-S", "o/train.py"], {**os.environ, **given}
        started = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (started.stdout.strip() or None) == printed, started.stderr
        assert printed is not None or any(name in started.stderr.splitlines()[-1] for name in ("A_TOKEN", "PLACE"))
        if "TOKEN" in template and printed is None:
            assert len(started.stderr.splitlines()) == 1 and started.returncode == 1


def test_objects_are_constructed_with_the_secrets_that_were_given(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    Path("m.yaml").write_text("main: !call:list [ [ {{ hf_token }} ] ]\nlater: !partial:str [ {{ hf_token }} ]\n")
    assert SECRET in run("construct", "m.yaml", "-D", f"hf_token={SECRET}").out
    project = Project("m.yaml", hf_token=SECRET)
    assert project() == [SECRET] and project("later")() == SECRET
    assert "HF_TOKEN" not in os.environ


def test_a_secret_that_is_set_by_its_path_is_written_nowhere(run: Run) -> None:
    Path("m.yaml").write_text("main: !call:dict { hub_token: null, api_key: 'x', pad_token: 'p' }\n")
    given = ("--set", f"main.hub_token={SECRET}", "--set", f"main.api_key={SECRET}", "--set", "main.pad_token=q")
    result = run("build", "m.yaml", "-o", "o", *given)
    assert result.code == 0, result.err
    assert SECRET not in written(Path("o")) + result.out + result.err and '"q"' in Path("o/train.py").read_text()
    assert "never written to a file:  HUB_TOKEN, API_KEY" in result.out
    assert SECRET in run("construct", "m.yaml", *given).out
    shown = run("train", "m.yaml", "--dry-run", *given).out
    assert SECRET not in shown and "HUB_TOKEN=..." in shown

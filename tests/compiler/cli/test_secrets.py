"""Secrets: the program reads them when it starts, and nothing that is written holds them."""

from pathlib import Path

import pytest
from fgc.text import is_secret

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
    assert "written nowhere:  HF_TOKEN, API_KEY" in result.out
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


@pytest.mark.parametrize("name", ["eos_token", "pad_token_id", "num_tokens", "key", "sort_key", "tokenizer", "monkey"])
def test_names_that_are_none(name: str) -> None:
    assert not is_secret(name)

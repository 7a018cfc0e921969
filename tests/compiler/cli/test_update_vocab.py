"""`fgc update-vocab`: which tokens a file and options mean, and what is refused."""

import json
from pathlib import Path

import pytest

from .conftest import Run


@pytest.fixture
def model(run: Run) -> Path:
    Path("model").mkdir()
    Path("model/config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    return Path("model")


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("specials: [ a ]\n", "`tokens.yaml` has no key `specials`; "),
        ("pad: { tokn: x }\n", "`pad` in `tokens.yaml` has no key `tokn`: write { token: TEXT, init: mean|zero"),
        ("pad: { token: x, init: random }\n", "`init` is `random`, and must be `mean` or `zero`"),
        ("special_tokens: x\n", "`special_tokens` in `tokens.yaml` must be a list of tokens"),
        ("regular_tokens: [ 3 ]\n", "`regular_tokens` in `tokens.yaml`: a token is a text that is not empty, not 3"),
        ("regular_tokens: [ a, a ]\n", "token `a` is given twice"),
        ("[ a ]\n", "`tokens.yaml` must be a mapping"),
        ("a: [\n", "`tokens.yaml` is not valid YAML"),
    ],
)
def test_a_file_of_tokens_that_is_wrong_says_where(run: Run, model: Path, yaml: str, message: str) -> None:
    Path("tokens.yaml").write_text(yaml, encoding="utf-8")
    result = run("update-vocab", "model", "out", "--add-tokens", "tokens.yaml")
    assert (result.code, message in result.err) == (2, True), result.err


def test_nothing_to_add_and_a_folder_in_the_way_are_refused(run: Run, model: Path) -> None:
    result = run("update-vocab", "model", "out")
    assert (result.code, "nothing to add" in result.err) == (2, True)
    Path("notes").mkdir()
    Path("notes/todo.txt").write_text("mine", encoding="utf-8")
    result = run("update-vocab", "model", "notes", "--pad", "[PAD]", "--force")
    assert (result.code, "`notes` is not empty and contains no model" in result.err) == (2, True)

"""The card beside a trained model: it says what is known, and a person's own words stay."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from fgc_runtime.runs.card import card_text, is_ours, write_card
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import Trainer

MakeTrainer = Callable[..., Trainer]
ABOUT = {"name": "tiny", "class": "TinyForCausalLM", "num_parameters": 1_066_112, "has_code": True, "step": 4}


def test_a_training_leaves_a_card_that_says_what_it_was(
    make_trainer: MakeTrainer, examples: Callable[..., list[object]], tmp_path: Path
) -> None:
    script = TrainingScript(make_trainer(max_steps=2, eval_dataset=examples(3)), do_eval=True)
    script.run([])
    text = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    metadata = yaml.safe_load(text.split("---")[1])
    assert metadata["library_name"] == "transformers" and "license" not in metadata
    assert "| steps | 2 |" in text and "| `learning_rate` | 0.01 |" in text
    logged = script.trainer.evaluate()["eval_loss"]
    assert float(re.search(r"\| eval_loss \| ([\d.]+)", text)[1]) == pytest.approx(logged, rel=1e-5)  # type: ignore[index]
    assert "trust_remote_code" not in text, "a class of transformers needs no code"


def test_a_card_is_written_anew_until_a_person_edits_it(tmp_path: Path) -> None:
    assert write_card(tmp_path, ABOUT)
    assert write_card(tmp_path, {**ABOUT, "step": 8})
    assert "| steps | 8 |" in (tmp_path / "README.md").read_text(encoding="utf-8")
    edited = (tmp_path / "README.md").read_text(encoding="utf-8").replace("# tiny", "# My tiny")
    (tmp_path / "README.md").write_text(edited, encoding="utf-8")
    assert not write_card(tmp_path, ABOUT)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == edited


@pytest.mark.parametrize("text", ["", "# Mine\n", "<!-- written by fgc, sha256:0123456789abcdef -->\n"])
def test_a_persons_own_file_stays(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert not is_ours(tmp_path / "README.md")
    assert not write_card(tmp_path, ABOUT)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_code_is_told_and_tables_hold_any_text() -> None:
    text = card_text({**ABOUT, "data": {"path": "a|b\nc"}, "metrics": {"eval_loss": 2.5, "none": None}})
    assert "trust_remote_code=True" in text and "custom_code" in text
    assert "| data: path | a\\|b c |" in text
    assert "| eval_loss | 2.5 |" in text and "none" not in text.split("## Evaluation")[1].split("##")[0]

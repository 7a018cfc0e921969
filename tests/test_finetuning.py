"""The example of fine-tuning, as its README has it: one model, trained further and merged, by the command line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fgc import Project
from fgc_runtime.checkpoint.model import save_model
from fgc_runtime.convert.merge import merge
from fgc_runtime.finetune import load_tokenizer
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, with a base that has not been trained: what it knows plays no part."""
    root = tmp_path_factory.mktemp("examples")
    for name in ("finetuning", "forgather_workspace"):
        shutil.copytree(ROOT / "examples" / name, root / name, ignore=shutil.ignore_patterns("out*"))
    folder = root / "finetuning"
    model, tokenizer = Project("base.yaml", project_dir=str(folder))("model", "tokenizer")
    torch.manual_seed(0)
    base = folder / "output_models/base"
    base.mkdir(parents=True)
    save_model(model(), tokenizer, base)
    return folder


def fgc(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "fgc", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.slow
def test_conversations_then_a_merge_then_preferences(project: Path) -> None:
    told = fgc(project, "-t", "lora.yaml", "train", "--max-steps", "12")
    assert "parameters for 12 steps" in told and " of " in told
    settings = json.loads((project / "output_models/lora/adapter_config.json").read_text())
    assert (settings["r"], sorted(settings["target_modules"])) == (8, ["k_proj", "o_proj", "q_proj", "v_proj"])
    merge(str(project / "output_models/lora"), str(project / "output_models/sft"))
    merged = AutoModelForCausalLM.from_pretrained(project / "output_models/sft", trust_remote_code=True)
    tokenizer = load_tokenizer(str(project / "output_models/sft"))
    assert merged.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) == "user: Hi\n"
    told = fgc(project, "-t", "dpo.yaml", "train", "--max-steps", "12")
    (path,) = project.glob("output_models/dpo/runs/*/trainer_logs.json")
    logs = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    losses = [record["loss"] for record in logs if "loss" in record]
    assert losses[-1] < 0.69 and "reward_accuracy" in told


def test_rows_of_other_forms_become_conversations(project: Path) -> None:
    """The data sets of the language's origin: ShareGPT, several columns, threads drawn from trees."""
    expected = {
        "samantha.yaml": (3, "Call me Sam."),
        "open_orca.yaml": (3, "9 is 3 times 3, so no."),
        "openassistant.yaml": (2, "One, two, three."),
    }
    for config, (count, answer) in expected.items():
        proj = Project(config, project_dir=str(project))
        rows = proj("train_texts", "validation_texts")
        conversations = [row for part in rows for row in part]
        answers = [message.get("content", message.get("value")) for row in conversations for message in row]
        assert len(conversations) == count and answer in answers

"""A tiny model and tasks whose data lie beside them: nothing here needs a network."""

import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: it reads this once
os.environ["HF_DATASETS_OFFLINE"] = "1"

import datasets
import pytest
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tests.runtime.serve.conftest import make_model, make_tokenizer, save_tiny

ANIMALS = [
    {"animal": "dog", "choices": ["hello", "park"], "label": 0},
    {"animal": "small cat with a big Käse", "choices": ["tea", "run and play"], "label": 1},
    {"animal": "dog in the park", "choices": ["tea in the park", "went home"], "label": 0},
]
_COMMON = "dataset_path: json\ndataset_kwargs: {data_files: {test: animals.jsonl}}\ntest_split: test\n"
TASKS = {
    "animals": 'output_type: multiple_choice\ndoc_to_text: "The {{animal}} says"\ndoc_to_choice: "{{choices}}"\n'
    'doc_to_target: "{{label}}"\nmetric_list: [{metric: acc}, {metric: acc_norm}]\n',
    "writes": 'output_type: generate_until\ndoc_to_text: "The {{animal}} says"\ndoc_to_target: " hello"\n'
    "generation_kwargs: {until: ['.'], max_gen_toks: 6, do_sample: false}\nmetric_list: [{metric: exact_match}]\n",
    "whole": 'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "A {{animal}} had tea."\n'
    "metric_list: [{metric: bits_per_byte}, {metric: word_perplexity}]\n",
}


def write_tasks(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{_COMMON}{text}", encoding="utf-8")
    lines = "".join(json.dumps(animal) + "\n" for animal in ANIMALS)
    (folder / "animals.jsonl").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "datasets")


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("evaluate") / "tasks")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="session")
def model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return make_model(len(tokenizer))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")

"""The template library's parts, built from a configuration and used: every optimizer and every schedule takes steps."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc.api import Project
from fgc_runtime.data import Stage, train_bpe_tokenizer
from fgc_runtime.optim import weight_decay_groups
from fgc_runtime.trainers import TrainingArguments
from fgc_runtime.trainers.setup.factories import make_lr_scheduler, make_optimizer
from fgc_runtime.trust import UntrustedCode
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM

LIBRARY = Path(__file__).parents[2] / "stdlib/fgc_stdlib"


def parts(folder: str) -> list[str]:
    found = sorted(path.name for path in (LIBRARY / folder).glob("*.yaml"))
    assert found
    return found


def built(folder: Path, include: str, target: str, changes: str = "") -> Any:
    (folder / "config.yaml").write_text(f"-- include '{include}'\n\n{changes}\nmain: *{target}\n")
    return Project(folder / "config.yaml")()


@pytest.mark.parametrize("name", parts("optimizers"))
def test_every_optimizer_of_the_library_learns(name: str, tmp_path: Path, tiny_model: Any) -> None:
    model = tiny_model()
    factory = built(tmp_path, f"optimizers/{name}", "optimizer")
    optimizer = make_optimizer(model, factory, TrainingArguments())
    tokens = torch.arange(24).reshape(2, 12)
    losses = []
    for _ in range(3):
        loss = model(input_ids=tokens, labels=tokens).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[2] < losses[0]
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())


@pytest.mark.parametrize("name", parts("lr_schedulers"))
def test_every_schedule_of_the_library_steps(name: str, tmp_path: Path, tiny_model: Any) -> None:
    factory = built(tmp_path, f"lr_schedulers/{name}", "lr_scheduler")
    optimizer = torch.optim.SGD(weight_decay_groups(tiny_model()), lr=2.0)
    scheduler = make_lr_scheduler(optimizer, factory, TrainingArguments(), num_training_steps=1000)
    rates = []
    for _ in range(120):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.02)
    assert rates[99] == pytest.approx(2.0)
    assert rates[119] > 1.0


def test_a_line_behind_an_include_changes_an_argument(tmp_path: Path) -> None:
    factory = built(tmp_path, "optimizers/lion.yaml", "optimizer", "    lr: 0.125")
    assert factory.keywords == {"lr": 0.125, "betas": (0.9, 0.99), "weight_decay": 0.3}


# ---- data

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with texts and conversations; the cache lies beside them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    texts = [f"def function_{n}(x):\n    return x + {n}\n" for n in range(200)]
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": "fine " + text}] for text in texts]
    (tmp_path / "data").mkdir()
    rows = zip(texts, chats, strict=True)
    lines = "".join(json.dumps({"text": text, "messages": chat}) + "\n" for text, chat in rows)
    (tmp_path / "data/rows.jsonl").write_text(lines)
    (tmp_path / "data/all.txt").write_text("---\n".join(texts))
    return tmp_path


def data_of(project: Path, source: str, packing: str, changes: str = "", blocks: str = "") -> tuple[Any, ...]:
    (project / "config.yaml").write_text(
        "-- extends 'types/training_script/causal_lm/causal_lm.yaml'\n\n"
        "[config_metadata]\n    == super()\n    -- set ns.block_size = 256\n\n"
        f"[dataset]\n    -- include 'datasets/{source}'\n\n{changes}\n"
        f"[datasets_definition]\n    -- include '{packing}'\n\n{blocks}"
    )
    built: tuple[Any, ...] = Project(project / "config.yaml")("tokenizer", "train_dataset", "eval_dataset")
    return built


@pytest.mark.parametrize("packing", ["packed", "tokenized", "stream", "interleaved"])
def test_every_way_of_packing_of_the_library_gives_examples(packing: str, project: Path) -> None:
    tokenizer, train, validation = data_of(project, "files.yaml", f"datasets/{packing}.yaml")
    example = next(iter(train)) if isinstance(train, Stage) else train[0]
    assert "return x +" in tokenizer.decode(example["input_ids"])
    assert len(example["input_ids"]) <= 256
    assert "def function_" in tokenizer.decode(validation[0]["input_ids"])


def test_text_files_of_the_library(project: Path) -> None:
    changes = '    document_separator: "---\\n"\n'
    tokenizer, train, _ = data_of(project, "text_files.yaml", "datasets/tokenized.yaml", changes)
    assert 150 < len(train) < 200
    assert tokenizer.decode(train[0]["input_ids"], skip_special_tokens=True).startswith("def function_")


def test_a_child_of_the_library_mixes_sources(project: Path) -> None:
    blocks = """
#---- mixed ----
-- extends 'datasets/interleaved.yaml'

[sources]
.define: &sources
    code: *train_texts
    other: [ "another text", "and one more" ]
.define: &weights
    code: 3.0
    other: 1.0
"""
    tokenizer, train, _ = data_of(project, "files.yaml", "mixed", blocks=blocks)
    text = "".join(tokenizer.decode(example["input_ids"]) for example in itertools.islice(iter(train), 40))
    counts = [text.count("def function_"), text.count("another text") + text.count("and one more")]
    assert 2 < counts[0] / counts[1] < 4.5


@pytest.mark.parametrize(
    ("part", "setting"),
    [("tokenizers/pretrained.yaml", "tokenizer_path"), ("models/pretrained.yaml", "model_id_or_path")],
)
def test_a_tokenizer_with_code_of_its_own_is_refused_and_nobody_is_asked(
    part: str, setting: str, tmp_path: Path
) -> None:
    folder = tmp_path / "with_code"
    train_bpe_tokenizer(["a b c"], vocab_size=260, cache_dir=tmp_path / "cache").save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": [None, "own.Own"]}}
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **own}), encoding="utf-8")
    (folder / "own.py").write_text("raise SystemExit('it ran')\n", encoding="utf-8")
    text = f"-- set ns = namespace()\n-- set ns.{setting} = '{folder}'\n-- include '{part}'\n\nmain: *tokenizer\n"
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UntrustedCode):
        Project(tmp_path / "config.yaml")()


def test_chats_of_the_library_learn_the_assistants_words(project: Path) -> None:
    made = train_bpe_tokenizer(["def function_1(x): fine"], vocab_size=300, cache_dir=project / "cache")
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "pad_token": "<|eos|>"})
    made.save_pretrained(project / "tokenizer")
    blocks = f"""
[construct_tokenizer]
    -- set ns.tokenizer_path = '{project / "tokenizer"}'
    -- include 'tokenizers/pretrained.yaml'

#---- chats ----
-- extends 'datasets/chat.yaml'

[chat_encoder]
    == super()
    chat_template: chatml.jinja
"""
    (project / "chatml.jinja").write_text(CHATML)
    tokenizer, train, _ = data_of(project, "files.yaml", "chats", "    column: messages\n", blocks)
    labels = train[0]["labels"]
    runs = tokenizer.decode(labels[labels != -100]).split("<|im_end|>")[:-1]
    assert runs
    assert all(run.startswith("fine def function_") for run in runs)
    assert tokenizer.pad_token != tokenizer.eos_token


# ---- callbacks

EVENTS = {
    "base_callbacks.yaml": [],
    "loggers.yaml": [],
    "control.yaml": [],
    "text_samples.yaml": [],
    "profiler.yaml": [],
    "expert_balance.yaml": ["expert_load_max"],
    "diagnostics.yaml": ["grad_norm/attention", "weight_norm/mlp", "peak_memory_gib", "tflops_per_second"],
}


NEEDS = {
    "early_stopping.yaml": {
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "eval_strategy": "steps",
        "save_strategy": "steps",
    }
}


TINY_MIXTURE = {
    "vocab_size": 260,
    "hidden_size": 16,
    "intermediate_size": 16,
    "moe_intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
}
SERVICES = ("mlflow.yaml", "trackio.yaml", "wandb.yaml")  # of libraries that the tests do not install


@pytest.mark.parametrize("name", sorted({*parts("callbacks")} - {"task_evaluation.yaml"}))
def test_every_set_of_callbacks_of_the_library_trains(
    name: str, tmp_path: Path, make_trainer: Any, recorder: Any, examples: Any
) -> None:
    if name in SERVICES:
        pytest.importorskip(name.removesuffix(".yaml"))
    tokenizer = train_bpe_tokenizer(["a b c"], vocab_size=260, cache_dir=tmp_path)
    callbacks = built(tmp_path, f"callbacks/{name}", "callbacks")
    settings = {"processing_class": tokenizer, "logging_dir": tmp_path, "max_steps": 3, **NEEDS.get(name, {})}
    if name == "expert_balance.yaml":
        settings["model"] = Glm4MoeForCausalLM(Glm4MoeConfig(**TINY_MIXTURE))
    data = examples(3)
    make_trainer(callbacks=[*callbacks, recorder], eval_dataset=data, **settings).train()
    assert all(key in recorder.logs[0] for key in EVENTS.get(name, []))

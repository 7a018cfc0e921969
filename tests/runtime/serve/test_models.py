"""Several models under one roof: by name, with adapters, and one in another's place while its texts go on."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import torch
from fgc_runtime.finetune.identity import weights_hash
from fgc_runtime.generate.engine import Load
from fgc_runtime.models.finding import FolderError, find_model, find_newest
from fgc_runtime.serve import __main__ as command
from fgc_runtime.serve.adapters import adapted
from fgc_runtime.serve.arguments import Named, parse
from fgc_runtime.serve.faults import RequestError
from fgc_runtime.serve.following import Follower, first_model
from fgc_runtime.serve.loading import load, use_threads
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.site import Models, Site
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tests.runtime.serve.conftest import make_model, make_tokenizer, start_server, stop_server

IDS = torch.tensor([[0, 70, 71, 72, 73]])


def service(name: str) -> Any:
    engine = SimpleNamespace(is_stopped=False, load=Load(num_generated_tokens=5, num_running=1))
    engine.stop = lambda: setattr(engine, "is_stopped", True)
    return SimpleNamespace(model_name=name, id=str(id(engine)), engine=engine)


def test_a_model_stays_until_its_last_request_has_ended() -> None:
    old, new = service("a"), service("a")
    models = Models(Site(1000), cast(list[Service], [old, service("b")]))
    first, second = {"type": "http"}, {"type": "http"}
    assert models.lend(None, first) is old and models.lend("a", second) is old
    models.replace(new)
    assert models.find("a") is models.first is new
    models.give_back(first)
    assert not old.engine.is_stopped and models.load().num_generated_tokens == 15
    models.give_back(second)
    assert old.engine.is_stopped and not new.engine.is_stopped
    assert (models.load().num_generated_tokens, models.load().num_running) == (15, 2)  # counters never fall
    with pytest.raises(RequestError, match="`c` does not exist"):
        models.lend("c", {})


def test_a_model_that_nobody_uses_ends_at_once() -> None:
    old = service("a")
    models = Models(Site(1000), cast(list[Service], [old]))
    models.replace(service("a"))
    assert old.engine.is_stopped


@pytest.fixture
def adapter(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[Path, LlamaForCausalLM]]:
    """An adapter's folder, and the model that peft itself makes of it."""
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    made = get_peft_model(make_model(len(tokenizer)), config)
    made.save_pretrained(str(tmp_path / "poet"))
    yield tmp_path / "poet", cast(LlamaForCausalLM, made.merge_and_unload().eval())


@torch.no_grad()
def test_an_adapted_model_is_pefts_and_the_other_stays(
    adapter: tuple[Path, LlamaForCausalLM], model: LlamaForCausalLM
) -> None:
    before = model(IDS).logits
    other = adapted(model, adapter[0])
    torch.testing.assert_close(other(IDS).logits, adapter[1](IDS).logits)
    assert torch.equal(model(IDS).logits, before) and not torch.equal(other(IDS).logits, before)
    own = {x.data_ptr() for x in model.parameters()}
    assert sum(x.numel() for x in other.parameters() if x.data_ptr() not in own) < 10_000


def test_an_adapter_of_another_model_is_refused(adapter: tuple[Path, Any], model: LlamaForCausalLM) -> None:
    """peft leaves weights that fit nowhere without a word, and the adapter does nothing."""
    path = adapter[0] / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name.replace("layers.0", "layers.7"): x for name, x in weights.items()}, path)
    with pytest.raises(FolderError, match=r"has no place for|has places for"):
        adapted(model, adapter[0])
    save_file({name: x[..., :-1].contiguous() for name, x in weights.items()}, path)
    with pytest.raises(FolderError, match="does not fit the model"):
        adapted(model, adapter[0])


def test_an_adapter_of_other_weights_is_refused_before_anything_is_loaded(
    adapter: tuple[Path, Any], model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same architecture after another training: all shapes fit, and the texts would be wrong."""
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    about = {"name_or_path": "models/before", "weights": "0" * 64}
    (adapter[0] / "base_model.json").write_text(json.dumps(about), encoding="utf-8")
    for engine in ("fgc", "vllm"):
        assert command.main([str(model_folder), "--adapter", str(adapter[0]), "--engine", engine, "--port", "0"]) == 2
        printed = capsys.readouterr()
        assert "was trained on models/before, and" in printed.err and "Loading" not in printed.out
    about["weights"] = str(weights_hash(model_folder))
    (adapter[0] / "base_model.json").write_text(json.dumps(about), encoding="utf-8")
    command._require_base(Named(None, adapter[0]), find_model(model_folder))


def test_models_and_adapters_have_names() -> None:
    options = parse(["a=x/y", "--adapter", "p=q", "--adapter", "r/s"])
    assert options.models == (Named("a", Path("x/y")),)
    assert options.adapters == (Named("p", Path("q")), Named(None, Path("r/s")))
    assert parse(["x", "--model-name", "m"]).models == (Named("m", Path("x")),)


@pytest.mark.parametrize(
    "words", [["a", "b", "--model-name", "c"], ["a", "b", "--tokenizer", "t"], ["a", "--follow", "--adapter", "b"]]
)
def test_words_that_exclude_each_other_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(words)


def test_each_further_model_leaves_the_threads_alone(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One core is left to HTTP once; a followed training would end with a single thread."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        use_threads(None)
        for _ in range(2):
            load(find_model(model_folder), parse([str(model_folder)]))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def run(model_folder: Path, tmp_path: Path) -> Path:
    """A training's folder without a checkpoint yet."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model_folder / name, folder)
    return folder


def checkpoint(run: Path, step: int, *, seed: int) -> None:
    """Writes a checkpoint, which is absent or whole."""
    draft = run / "checkpoints" / f".{step}"
    make_model(len(make_tokenizer()), seed=seed).save_pretrained(draft)
    draft.replace(draft.with_name(f"checkpoint-{step}"))


def test_a_follower_takes_what_is_newer_and_can_be_loaded(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (run / "checkpoints" / "checkpoint-1" / "model.safetensors").touch()
    made: list[str] = []

    def make(folder: Any, name: str) -> Any:
        made.append(folder.weights.name)
        if len(made) <= 2:
            raise RuntimeError("out of memory")
        return service(name)

    current = find_newest(run)
    follower = Follower(run, None, "tiny", current, make, Models(Site(1), []), print)
    assert follower.newer() is None and made == []
    (run / "checkpoints" / "checkpoint-1").rename(run / "checkpoints" / "checkpoint-2")
    assert follower.newer() is None and follower.newer() is None
    assert [record.getMessage().endswith("out of memory") for record in caplog.records] == [True], "said once"
    assert follower.newer() is not None and follower.newer() is None
    assert made == ["checkpoint-2"] * 3 and follower.current.checkpoint == "checkpoint-2"


def test_a_finished_model_counts_if_it_is_newer(run: Path) -> None:
    (run / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    weights = run / "checkpoints" / "checkpoint-1" / "model.safetensors"
    weights.touch()
    (run / "model.safetensors").touch()
    os.utime(weights, (100, 100))
    assert find_newest(run).weights == find_model(run).weights == run
    os.utime(run / "model.safetensors", (50, 50))
    assert find_newest(run).weights == weights.parent


def test_the_first_checkpoint_is_waited_for() -> None:
    answers: list[Any] = [FolderError("no weights\nmore"), FolderError("no weights"), "model"]
    said: list[str] = []

    def find() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert cast(str, first_model(find, said.append, interval_s=0.0)) == "model"
    assert said == ["Waiting for the first checkpoint (no weights)"]


def ask(url: str, **values: object) -> str:
    body = {"prompt": "The dog", "max_tokens": 24, "temperature": 0, **values}
    answer = httpx.post(f"{url}/v1/completions", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["text"])


def greedy(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> str:
    ids = tokenizer("The dog", return_tensors="pt").input_ids
    made = model.generate(ids, max_new_tokens=24, do_sample=False, attention_mask=torch.ones_like(ids))
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))


@pytest.mark.slow
def test_one_server_has_models_and_adapters_by_name(
    model_folder: Path,
    adapter: tuple[Path, LlamaForCausalLM],
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
) -> None:
    shutil.copytree(model_folder, tmp_path / "other")
    other = make_model(len(tokenizer), seed=5)
    other.save_pretrained(tmp_path / "other")
    server = start_server(model_folder, f"second={tmp_path / 'other'}", "--adapter", f"poet={adapter[0]}")
    try:
        cards = httpx.get(f"{server.url}/v1/models").json()["data"]
        assert [(card["id"], card["parent"]) for card in cards] == [
            (model_folder.name, None),
            ("second", None),
            ("poet", model_folder.name),
        ]
        expected = [greedy(each, tokenizer) for each in (model, other, adapter[1])]
        texts = [ask(server.url, model=card["id"]) for card in cards]
        assert texts == expected and len(set(texts)) == 3
        assert ask(server.url) == texts[0]
        assert httpx.post(f"{server.url}/v1/completions", json={"model": "x", "prompt": "a"}).status_code == 404
    finally:
        stop_server(server)


@pytest.mark.slow
def test_the_newest_checkpoint_of_a_training_is_served(run: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    checkpoint(run, 1, seed=0)
    server = start_server(run, "--follow")
    expected = [greedy(make_model(len(tokenizer), seed=seed), tokenizer) for seed in (0, 3)]
    try:
        assert ask(server.url) == expected[0]
        body = {"prompt": "The dog", "max_tokens": 200, "temperature": 0, "ignore_eos": True, "stream": True}
        with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=60) as stream:
            lines = stream.iter_lines()
            begun = [next(lines) for _ in range(4)]
            checkpoint(run, 2, seed=3)
            wait_for(server.url, "checkpoint-2")
            assert ask(server.url) == expected[1]
            events = [json.loads(line[6:]) for line in [*begun, *lines] if line.startswith("data: {")]
        text = "".join(choice["text"] for event in events for choice in event["choices"])
        assert text.startswith(expected[0]) and events[-1]["choices"][0]["finish_reason"] == "length"
    finally:
        stop_server(server)


def wait_for(url: str, name: str) -> None:
    for _ in range(300):
        if httpx.get(f"{url}/v1/models").json()["data"][0]["checkpoint"] == name:
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} is not served")

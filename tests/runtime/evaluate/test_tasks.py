"""Tasks of one's own through the harness, against sums of log-probabilities by hand, and what is said of mistakes."""

import importlib.util
import py_compile
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.evaluate.harness import evaluate_tasks, local_model
from fgc_runtime.evaluate.tasks import Tasks
from fgc_runtime.trust import UntrustedCode, record_code
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tests.runtime.evaluate.conftest import ANIMALS, write_tasks


def asked(**changes: Any) -> Any:
    usual = {"num_fewshot": None, "limit": None, "apply_chat_template": False, "seed": 0}
    return SimpleNamespace(**usual | {"confirm_run_unsafe_code": False, "log_samples": False} | changes)


def score(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, context: str, continuation: str) -> float:
    before, whole = tokenizer(context)["input_ids"], tokenizer(context + continuation)["input_ids"]
    with torch.inference_mode():
        logprobs = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    return sum(float(logprobs[place - 1, whole[place]]) for place in range(len(before), len(whole)))


def test_the_harness_finds_what_is_counted_by_hand(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, task_folder: Path
) -> None:
    rights = []
    for animal in ANIMALS:
        scores = [score(model, tokenizer, f"The {animal['animal']} says", f" {choice}") for choice in animal["choices"]]
        rights.append(scores.index(max(scores)) == animal["label"])
    wholes = [f"A {animal['animal']} had tea." for animal in ANIMALS]
    nats = -sum(score(model, tokenizer, "", whole) for whole in wholes)  # behind one <s>, not behind two
    bits = nats / torch.log(torch.tensor(2.0)).item() / sum(len(whole.encode()) for whole in wholes)
    tasks = Tasks([task_folder]).chosen(["animals", "whole", "writes"])
    for batch_size in (1, 4):
        found = evaluate_tasks(local_model(model, tokenizer, batch_size=batch_size), tasks, asked())
        assert found["metrics"]["animals"]["acc,none"] == pytest.approx(sum(rights) / len(rights))
        assert found["metrics"]["whole"]["bits_per_byte,none"] == pytest.approx(bits, rel=1e-5)
        assert found["num_documents"] == {"animals": 3, "whole": 3, "writes": 3}
    assert tokenizer.pad_token is None, "the harness has not changed the tokenizer"


def test_random_states_are_as_before(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, task_folder: Path
) -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(numpy.random.rand()), float(torch.rand(()))

    tasks = Tasks([task_folder]).chosen(["animals"])
    for seed in (random.seed, numpy.random.seed, torch.manual_seed):
        seed(5)
    expected = draw()
    for seed in (random.seed, numpy.random.seed, torch.manual_seed):
        seed(5)
    evaluate_tasks(local_model(model, tokenizer, batch_size=2), tasks, asked(limit=1))
    assert draw() == expected


def test_a_misspelt_task_is_told_with_those_that_are_close(task_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks([task_folder])
    monkeypatch.setattr(Tasks, "_all", tasks._only_local)  # to read all of the harness's files takes seconds
    with pytest.raises(EvaluationError, match="there is no task animal; did you mean animals"):
        tasks.chosen(["animal"])
    with pytest.raises(EvaluationError, match="--list-tasks"):
        tasks.chosen(["zzz"])


BROKEN = {
    "task: a\n  b: [": r"broken\.yaml:2:4 is not valid YAML",
    "- a\n- b\n": "cannot be read: ValueError: Expected YAML dict",
    "include: nowhere.yaml\ntask: a\n": r"broken\.yaml cannot be read",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_the_harness_would_skip_is_told(text: str, tmp_path: Path) -> None:
    (write_tasks(tmp_path) / "broken.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationError, match=BROKEN[text]):
        Tasks([tmp_path])


def test_a_template_that_fails_for_a_later_document_is_one_line(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    folder = write_tasks(tmp_path / "tasks")
    text = (folder / "animals.yaml").read_text(encoding="utf-8").replace("{{animal}}", "{{animal.upper()}}")
    (folder / "animals.yaml").write_text(text, encoding="utf-8")
    with (folder / "animals.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"choices": ["a", "b"], "label": 1}\n')
    tasks = Tasks([folder]).chosen(["animals"])
    with pytest.raises(EvaluationError, match="the harness cannot do this: UndefinedError: 'None' has no attribute"):
        evaluate_tasks(local_model(model, tokenizer, batch_size=2), tasks, asked())


def test_python_code_of_tasks_runs_only_where_it_may(tmp_path: Path) -> None:
    (write_tasks(tmp_path) / "utils.py").write_text("raise AssertionError('it ran')\n", encoding="utf-8")
    with pytest.raises(UntrustedCode, match=r"utils\.py"):
        Tasks([tmp_path])
    with pytest.raises(EvaluationError, match="--no-trust-remote-code"):
        Tasks([tmp_path], is_told=False)
    assert Tasks([tmp_path], is_told=True).chosen(["animals"]).names == ("animals",)


EVIL = "import pathlib\npathlib.Path({mark!r}).touch()\ndef fn(*_):\n    return []\n"
SYSTEM = "cycler.__init__.__globals__.os.system('touch MARK')"
REACHES_CODE = {
    "a file outside": "doc_to_text: !function OUTSIDE/evil.fn",
    "a file behind a link": "doc_to_text: !function link.evil.fn",
    "a module": "doc_to_text: !function subprocess.call",
    "a class": "class: !function OUTSIDE/evil.fn",
    "an included file": "include: OUTSIDE/included.yaml",
    "a script as metric": "metric_list: [{metric: OUTSIDE/evil.py, aggregation: mean, higher_is_better: true}]",
    "a metric of the library": "metric_list: [{metric: exact_match, hf_evaluate: true}]",
    "a task inside a group": "group: t\ntask: [{task: u, doc_to_text: !function OUTSIDE/evil.fn}]",
}


@pytest.fixture
def naming(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a folder with a task `t` that says one thing more; returns the folder."""

    def write(line: str) -> Path:
        folder, outside = write_tasks(tmp_path / "tasks"), tmp_path / "outside"
        outside.mkdir()
        (outside / "evil.py").write_text(EVIL.format(mark=str(tmp_path / "MARK")), encoding="utf-8")
        (outside / "included.yaml").write_text("process_docs: !function evil.fn\n", encoding="utf-8")
        (folder / "link").symlink_to(outside)
        text = (folder / "writes.yaml").read_text(encoding="utf-8").replace("task: writes", "task: t")
        line = line.replace("OUTSIDE", str(outside)).replace("MARK", str(tmp_path / "MARK"))
        kept = [each for each in text.splitlines() if not each.startswith(line.partition(":")[0])]
        (folder / "t.yaml").write_text("\n".join([*kept, line, ""]), encoding="utf-8")
        return folder

    return write


@pytest.mark.parametrize("line", REACHES_CODE.values(), ids=REACHES_CODE)
def test_yaml_of_a_task_reaches_no_code_that_may_not_run(
    line: str, naming: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = naming(line)
    with pytest.raises(UntrustedCode, match="can do all that you can"):
        Tasks([folder]).chosen(["t"])
    with pytest.raises(EvaluationError, match="--no-trust-remote-code keeps"):
        Tasks([folder], is_told=False).chosen(["t"])
    assert not (tmp_path / "MARK").exists()


@pytest.mark.parametrize("field", ["doc_to_text", "doc_to_target"])
def test_templates_of_a_task_run_in_a_sandbox(field: str, naming: Callable[[str], Path], tmp_path: Path) -> None:
    folder = naming(f'{field}: "{{{{ {SYSTEM} }}}}"')
    with pytest.raises(EvaluationError, match="SecurityError"):
        Tasks([folder], is_told=True).chosen(["t"])
    assert not (tmp_path / "MARK").exists()


def test_code_that_may_run_is_called(naming: Callable[[str], Path], tmp_path: Path) -> None:
    Tasks([naming("doc_to_choice: !function OUTSIDE/evil.fn")], is_told=True).chosen(["t"])
    assert (tmp_path / "MARK").exists()


def test_known_code_runs_as_it_was_checked_and_not_as_it_was_compiled(
    naming: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = naming("doc_to_choice: !function OUTSIDE/known.fn")
    source = tmp_path / "outside/known.py"
    source.write_text("import dataclasses\ndef fn(*_):\n    return []\n#" + "x" * 200, encoding="utf-8")
    record_code([source])
    compiled = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(str(tmp_path / "outside/evil.py"), str(compiled))
    times = source.stat()
    content = bytearray(compiled.read_bytes())
    content[8:16] = int(times.st_mtime).to_bytes(4, "little") + times.st_size.to_bytes(4, "little")
    compiled.write_bytes(content)  # Python takes it for the source's own
    Tasks([folder]).chosen(["t"])
    assert not (tmp_path / "MARK").exists()


def test_data_that_is_a_pickle_is_refused(naming: Callable[[str], Path]) -> None:
    with pytest.raises(EvaluationError, match=r"dataset_path: pandas.*write parquet"):
        Tasks([naming("dataset_path: pandas")])


def test_a_data_set_of_the_hub_without_a_network_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "far.yaml").write_text(
        "task: far\ndataset_path: nobody/nothing\ntest_split: test\noutput_type: generate_until\n"
        'doc_to_text: "a"\ndoc_to_target: "b"\n',
        encoding="utf-8",
    )
    with pytest.raises(EvaluationError, match="needs the data set nobody/nothing of the Hugging Face Hub") as caught:
        Tasks([tmp_path]).chosen(["far"])
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_a_first_token_is_refused(model: LlamaForCausalLM) -> None:
    from tests.runtime.serve.conftest import make_tokenizer

    bare = make_tokenizer()
    bare.bos_token = bare.eos_token = None
    with pytest.raises(EvaluationError, match="neither a bos_token nor an eos_token"):
        local_model(model, bare, batch_size=1)

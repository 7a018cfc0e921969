"""A served model is evaluated as one of this process is: the same tokens, the same numbers."""

import json
from pathlib import Path

import pytest
from fgc_runtime.evaluate.__main__ import main
from fgc_runtime.evaluate.arguments import parse
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.evaluate.harness import metrics_of
from fgc_runtime.evaluate.server import served_model

from tests.runtime.evaluate.conftest import write_tasks
from tests.runtime.serve.conftest import RunningServer


def test_both_ways_give_the_same_numbers(
    server: RunningServer, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    words = ["--task-folder", str(write_tasks(tmp_path / "tasks")), "--tasks", "animals,writes,whole"]
    files = [tmp_path / "local.json", tmp_path / "served.json"]
    for model, file in zip(([str(model_folder)], [server.url, "--tokenizer", str(model_folder)]), files, strict=True):
        assert main([*model, *words, "--num-fewshot", "1", "--output", str(file)]) == 0
    local, served = (list(metrics_of(json.loads(file.read_text(encoding="utf-8"))["tasks"])) for file in files)
    assert [row[:3] for row in local] == [row[:3] for row in served]
    assert [row[3] for row in served] == pytest.approx([row[3] for row in local], rel=1e-5)


def test_a_model_that_the_server_does_not_have_is_told(server: RunningServer, model_folder: Path) -> None:
    words = [server.url, "--tokenizer", str(model_folder), "--tasks", "a", "--served-model", "other"]
    with pytest.raises(EvaluationError, match="serves no other; it serves"):
        served_model(parse(words))

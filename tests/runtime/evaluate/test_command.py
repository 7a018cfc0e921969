"""`fgc eval` as a person types it: what it prints, what it keeps and where, and what it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fgc.cli import run_tables
from fgc.cli.main import main as fgc
from fgc_runtime.evaluate.__main__ import main


def test_tasks_perplexity_and_samples_are_printed_and_kept(
    model_folder: Path, task_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("Once upon a time there was a dog. " * 9, encoding="utf-8")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "The dog"}\n"One day"\n', encoding="utf-8")
    texts = ["--perplexity", str(tmp_path / "text.txt"), "--context", "32", "--stride", "8"]
    samples = ["--samples", str(tmp_path / "prompts.jsonl"), "--max-new-tokens", "3"]
    words = [str(model_folder), "--task-folder", str(task_folder), "--tasks", "animals,writes", *texts, *samples]
    assert main(words) == 0
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "animals  0        3          acc " in printed
    assert "windows of 32, 8 apart" in printed
    assert "[The dog] 3 tokens" in printed
    first, second = sorted((model_folder / "evaluations").glob("*.json"))
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in (first, second)]
    assert {**kept[0], "evaluated_at": ""} == {**kept[1], "evaluated_at": ""}
    assert [sample["prompt"] for sample in kept[0]["samples"]] == ["The dog", "One day"]
    assert kept[0]["tasks"]["num_documents"] == {"animals": 3, "writes": 3}


def test_results_lie_beside_the_run_that_trained_and_are_listed_there(
    model_folder: Path, task_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = model_folder / "runs/train_1"
    (run / "checkpoints/checkpoint-7").mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"state": "finished", "configuration": "tiny.yaml"}), encoding="utf-8")
    about = {"run": "runs/train_1", "configuration": "tiny.yaml", "step": 9}
    (model_folder / "trained_by.json").write_text(json.dumps(about), encoding="utf-8")
    shutil.copy(model_folder / "model.safetensors", run / "checkpoints/checkpoint-7")
    words = ["--task-folder", str(task_folder), "--tasks", "animals", "--limit", "1"]
    assert main([str(model_folder), *words]) == 0
    assert main([str(run / "checkpoints/checkpoint-7"), *words]) == 0
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((run / "evaluations").glob("*.json"))]
    assert [(record["run"], record["step"]) for record in records] == [("train_1", 9), ("train_1", 7)]
    capsys.readouterr()
    assert fgc(["runs", "--folder", str(model_folder)]) == 0
    assert "animals acc" in capsys.readouterr().out
    assert fgc(["runs", "--folder", str(model_folder), "--format", "json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert [evaluation["step"] for evaluation in listed["evaluations"]] == [9, 7]


def test_many_results_are_shortened() -> None:
    assert run_tables._evaluated({"c acc": 1, "a acc": 0.5, "b acc": 0.25}) == "a acc 0.5000, b acc 0.2500, 1 more"


REFUSED: dict[str, tuple[list[str], str]] = {
    "nothing to measure": ([], "say what to measure"),
    "a limit": (["--tasks", "a", "--limit", "1.5"], "neither a whole number nor a part"),
    "no limit": (["--tasks", "a", "--limit", "inf"], "neither a whole number nor a part"),
    "a stride alone": (["--tasks", "a", "--stride", "5"], "belong to --perplexity"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_words_are_told_before_anything_is_loaded(
    case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words, message = REFUSED[case]
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def refusal(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    assert main([str(word) for word in words]) == 2
    return capsys.readouterr().err


def test_what_is_not_there_is_told_in_a_line(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"a\nb\nc\xe4se\n")
    assert "is not a folder" in refusal(capsys, tmp_path / "none", "--tasks", "a", "--task-folder", tmp_path)
    assert "cannot be read: No such file" in refusal(capsys, model_folder, "--perplexity", tmp_path / "no.txt")
    assert "latin.txt:3 is not UTF-8" in refusal(capsys, model_folder, "--perplexity", tmp_path / "latin.txt")
    assert "no.jsonl" in refusal(capsys, model_folder, "--samples", tmp_path / "no.jsonl")
    (tmp_path / "there.json").touch()
    (tmp_path / "p.txt").write_text("a", encoding="utf-8")
    again = refusal(capsys, model_folder, "--samples", tmp_path / "p.txt", "--output", tmp_path / "there.json")
    assert "never overwritten" in again


def test_results_that_cannot_be_kept_are_printed_all_the_same(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("Once upon a time", encoding="utf-8")
    words = [str(model_folder), "--perplexity", str(tmp_path / "text.txt")]
    assert main([*words, "--output", str(tmp_path / "text.txt" / "a.json")]) == 2
    printed = capsys.readouterr()
    assert "tokens scored once each" in printed.out and "cannot be written" in printed.err


def test_what_is_refused_is_refused_before_anything_is_measured(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fgc_runtime.evaluate.perplexity.perplexity", lambda *_, **__: pytest.fail("it was measured"))
    (tmp_path / "text.txt").write_text("Once upon a time " * 200, encoding="utf-8")
    (tmp_path / "one.jsonl").write_text(json.dumps("Once upon a time " * 200), encoding="utf-8")
    words = (model_folder, "--perplexity", tmp_path / "text.txt")
    assert "must be smaller than --context" in refusal(capsys, *words, "--stride", 256)
    assert "the model sees 256" in refusal(capsys, *words, "--samples", tmp_path / "one.jsonl")


def test_a_server_that_does_not_answer_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], model_folder: Path, task_folder: Path
) -> None:
    url = "http://127.0.0.1:9"  # the port of `discard`, which nobody serves
    words = (url, "--tokenizer", model_folder, "--task-folder", task_folder, "--tasks", "animals")
    assert "does not answer: [Errno 111]" in refusal(capsys, *words)


def test_without_the_harness_the_extra_is_named(tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "hide.py").write_text(
        "import sys\nimport fgc_runtime.packages as packages\n"
        "find = packages.find_spec\n"
        "packages.find_spec = lambda name: None if name == 'lm_eval' else find(name)\n"
        "from fgc_runtime.evaluate.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    words = [sys.executable, str(tmp_path / "hide.py"), str(model_folder), "--tasks", "a"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("which is not installed: pip install 'fgc[eval]'\n")

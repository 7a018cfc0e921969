"""The whole path of a newcomer: configuration, program, training, model, answers. Real files, processes and servers."""

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from fgc.workspace.place_map import read_map

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/tutorials/tiny_llama"
FGC = str(Path(sys.executable).with_name("fgc"))
CONFIG = "templates/configs/tiny_llama.yaml"
pytestmark = pytest.mark.slow


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment}
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its workspace, built for a short training."""
    workspace = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / "examples/forgather_workspace", workspace / "forgather_workspace")
    ignored = shutil.ignore_patterns("out", "output_models")
    project = workspace / "tiny_llama"
    shutil.copytree(EXAMPLE, project, ignore=ignored)
    built = command(FGC, "build", "-D", "max_steps=120", cwd=project)
    assert built.returncode == 0, built.stderr
    return project


@pytest.fixture(scope="session")
def trained(project: Path) -> Path:
    """The folder of the trained model."""
    result = command(sys.executable, "out/train.py", cwd=project)
    assert result.returncode == 0, result.stderr
    assert "step 120/120" in result.stdout, "progress is shown"
    return project / "output_models/tiny_llama"


def test_the_example_has_no_findings() -> None:
    assert command(FGC, "check", "examples", "--no-cache", cwd=ROOT).returncode == 0


def test_training_learns_more_than_how_often_tokens_occur(project: Path, trained: Path) -> None:
    (log_file,) = trained.glob("runs/*/trainer_logs.json")
    logs = [json.loads(line) for line in log_file.read_text().splitlines()]
    eval_losses = [log["eval_loss"] for log in logs if "eval_loss" in log]
    assert eval_losses[-1] < unigram_entropy(trained) - 0.2


def unigram_entropy(model: Path) -> float:
    """Nats per token of the validation texts, if each token came by its own frequency in them."""
    from fgc_runtime.data import PackedDataset, python_stdlib_sources
    from transformers import AutoTokenizer

    texts = python_stdlib_sources(split="validation", max_bytes=6_000_000)
    blocks = PackedDataset(
        texts=texts, tokenizer=AutoTokenizer.from_pretrained(model, trust_remote_code=True), block_size=256
    )
    counts = Counter(int(token) for block in range(len(blocks)) for token in blocks[block]["input_ids"])
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values())


def test_what_lies_where(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= names
    assert (trained / "checkpoints/checkpoint-120/trainer_state.json").is_file()
    (run_folder,) = (trained / "runs").iterdir()
    assert {"trainer_logs.json", "config.yaml", "manifest.json"} <= {path.name for path in run_folder.iterdir()}
    assert list(run_folder.glob("events.out.tfevents.*")), "TensorBoard reads this"


def test_the_model_loads_and_generates_where_fgc_is_not_installed(trained: Path) -> None:
    program = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fgc", "fgc_runtime", "fgc_models"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Forbid())
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=True)
inputs = tokenizer("def ", return_tensors="pt", return_token_type_ids=False)
cached = model.generate(**inputs, max_new_tokens=12, do_sample=False)
plain = model.generate(**inputs, max_new_tokens=12, do_sample=False, use_cache=False)
assert cached.tolist() == plain.tolist()
print(tokenizer.decode(cached[0]))
"""
    result = command(sys.executable, "-c", program, str(trained), cwd=trained)
    assert result.returncode == 0, result.stderr
    assert "def " in result.stdout


def test_a_new_learning_rate_is_one_changed_line_of_the_program(project: Path, tmp_path: Path) -> None:
    before = (project / "out/train.py").read_text().splitlines()
    changed = tmp_path / "changed"
    shutil.copytree(project.parent, changed, ignore=shutil.ignore_patterns("output_models"))
    config = changed / "tiny_llama" / CONFIG
    config.write_text(config.read_text().replace("lr: 2.0e-3", "lr: 5.0e-4"))
    options = ("-D", "max_steps=120")
    assert command(FGC, "build", *options, cwd=config.parents[2]).returncode == 0
    after = (config.parents[2] / "out/train.py").read_text().splitlines()
    different = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(different) == 1
    assert "0.002" in different[0][0] and "0.0005" in different[0][1]


def test_the_map_leads_from_a_generated_line_to_the_line_that_the_author_wrote(project: Path) -> None:
    program = (project / "out/train.py").read_text().splitlines()
    number = next(number for number, line in enumerate(program, start=1) if "partial(AdamW" in line)
    item = next(item for item in read_map(project / "out/train.py.map.json") if item.area.line == number)
    assert item.path == "main.trainer.optimizer_factory"
    assert item.place.file == "@library/types/training_script/causal_lm/causal_lm.yaml"


def test_the_same_build_in_two_folders_under_two_hash_seeds_is_byte_identical(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "some where/else"
    shutil.copytree(project.parent, elsewhere, ignore=shutil.ignore_patterns("out", "output_models"))
    options = ("-D", "max_steps=120")
    for number, folder in enumerate((project, elsewhere / "tiny_llama")):
        built = command(FGC, "build", *options, "-o", f"twin{number}", cwd=folder, PYTHONHASHSEED=str(number + 1))
        assert built.returncode == 0, built.stderr
    first, second = contents(project / "twin0"), contents(elsewhere / "tiny_llama/twin1")
    assert first == second and len(first) >= 6


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_generated_files_need_no_formatter_and_no_linter(project: Path) -> None:
    files = [str(path) for path in (project / "out").rglob("*.py")]
    black = command(sys.executable, "-m", "black", "--check", *files, cwd=project)
    assert black.returncode == 0, black.stderr
    options = ("check", "--isolated", "--select", "E,F,I,B,UP", "--ignore", "E501")
    ruff = command(str(Path(sys.executable).with_name("ruff")), *options, ".", cwd=project / "out")
    assert ruff.returncode == 0, ruff.stdout


def test_two_processes_train_together(project: Path) -> None:
    torchrun = str(Path(sys.executable).with_name("torchrun"))
    run_folder = project / "two"
    shutil.copytree(project / "out", run_folder / "out")
    program = ("out/train.py", "--max-steps", "4")
    result = command(torchrun, "--standalone", "--nproc-per-node", "2", *program, cwd=run_folder)
    assert result.returncode == 0, result.stderr
    assert "step 4/4" in result.stdout
    assert (run_folder / "output_models/tiny_llama/model.safetensors").is_file()


def test_ctrl_c_in_training_leaves_a_checkpoint(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "out", tmp_path / "out")
    text = (tmp_path / "out/train.py").read_text()
    (tmp_path / "out/train.py").write_text(text.replace("logging_steps=20", "logging_steps=1"))
    words = [sys.executable, "out/train.py", "--max-steps", "100000"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(r"step \d+/100000", line):
            break
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[0]
    assert process.returncode == 130, rest
    assert list((tmp_path / "output_models/tiny_llama/checkpoints").glob("checkpoint-*/trainer_state.json"))


@pytest.fixture(scope="session")
def server(trained: Path) -> Iterator[str]:
    """The address of `fgc serve` over the trained model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([FGC, "serve", str(trained), "--port", str(port)], env=env)
    url = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            if httpx.get(f"{url}/health", timeout=1).status_code == 200:
                break
        except httpx.HTTPError:
            time.sleep(0.5)
    yield url
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)


def test_the_server_answers_plain_http_and_the_official_client(server: str) -> None:
    answer = httpx.post(
        f"{server}/v1/completions", json={"model": "tiny_llama", "prompt": "def ", "max_tokens": 8}, timeout=60
    )
    assert answer.json()["usage"]["completion_tokens"] <= 8
    client = openai.OpenAI(base_url=f"{server}/v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["tiny_llama"]
    messages = [{"role": "user", "content": "import os"}]
    reply = client.chat.completions.create(model="tiny_llama", messages=messages, max_tokens=8)  # type: ignore[arg-type]
    assert reply.choices[0].finish_reason in ("stop", "length")
    stream = client.completions.create(model="tiny_llama", prompt="class ", max_tokens=8, temperature=0, stream=True)
    streamed = "".join(chunk.choices[0].text for chunk in stream)
    whole = client.completions.create(model="tiny_llama", prompt="class ", max_tokens=8, temperature=0).choices[0].text
    assert streamed == whole


def test_wrong_json_and_a_port_in_use_are_answered_clearly(server: str, trained: Path) -> None:
    wrong = httpx.post(f"{server}/v1/completions", content=b'{"model":', timeout=60)
    assert wrong.status_code == 400 and wrong.json()["error"]["type"] == "invalid_request_error"
    taken = command(FGC, "serve", str(trained), "--port", server.rsplit(":", 1)[1], cwd=trained)
    assert taken.returncode == 2 and "port" in taken.stderr


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    result = command(FGC, "serve", str(tmp_path), cwd=tmp_path)
    assert result.returncode == 2 and "no config.json" in result.stderr

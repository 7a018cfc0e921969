"""Starting and ending the server process: messages, exit codes, and what it serves besides an ordinary folder."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest
from safetensors.torch import load_file, save_file

from tests.runtime.serve.conftest import RunningServer, environment, start_server

_START_S = 60


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fgc_runtime.serve", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=_START_S, env=environment(Path(arguments[0])), check=False
    )


def test_help_shows_examples_and_loads_nothing_heavy() -> None:
    program = """
import runpy, sys
sys.argv = ["serve", "--help"]
try:
    runpy.run_module("fgc_runtime.serve", run_name="__main__")
finally:
    print(sorted({"torch", "transformers", "starlette", "uvicorn", "asyncio"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    assert "examples:" in done.stdout and "--chat-template" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_folder_without_a_model_ends_with_code_2(tmp_path: Path) -> None:
    done = serve(str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"fgc serve: {tmp_path} is not a model folder")
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_told_before_the_model_is_loaded(model_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(str(model_folder), "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert "Loading" not in done.stdout


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_wrong_port_is_told(model_folder: Path, port: str) -> None:
    done = serve(str(model_folder), "--port", port)
    assert done.returncode == 2
    assert f"{port} is not a port" in done.stderr


def test_a_chat_template_that_is_none_is_told_before_the_model_is_loaded(model_folder: Path, tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{{ bos_token }}\n{% for m in messages %}")
    done = serve(str(model_folder), "--port", "0", "--chat-template", str(template))
    assert done.returncode == 2
    assert f"--chat-template {template}:2: " in done.stderr
    assert "Loading" not in done.stdout


@pytest.mark.slow
def test_a_device_that_is_none_is_told(model_folder: Path) -> None:
    done = serve(str(model_folder), "--port", "0", "--device", "abacus")
    assert done.returncode == 2
    assert "abacus" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_weights_that_cannot_be_loaded_end_with_code_2(model_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(model_folder, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"no weights")
    done = serve(str(broken), "--port", "0")
    assert done.returncode == 2
    assert "cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr


_MODEL_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture(scope="module")
def run_folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run of a base model of one's own code: checkpoints hold only weights, there is no chat template."""
    folder = tmp_path_factory.mktemp("runs") / "base"
    for step in (5, 10):
        (folder / "checkpoints" / f"checkpoint-{step}").mkdir(parents=True)
        shutil.copy(model_folder / "model.safetensors", folder / "checkpoints" / f"checkpoint-{step}")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(model_folder / name, folder)
    (folder / "modeling_own.py").write_text(_MODEL_CODE)
    config = json.loads((model_folder / "config.json").read_text())
    code = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": code}))
    return folder


@pytest.mark.slow
def test_a_run_is_served_from_its_newest_checkpoint_until_ctrl_c(run_folder: Path) -> None:
    options = ("--trust-remote-code", "--api-key", "secret", "--model-name", "base-model", "--max-body-mib", "1")
    server = start_server(run_folder, *options)
    try:
        assert f"Weights are from the newest checkpoint, {run_folder}/checkpoints/checkpoint-10" in server.printed
        assert "No chat template" in server.printed
        assert_key_is_needed(server)
        assert_large_bodies_are_refused(server)
        assert_plain_chat_continues_the_text(server)
        assert_ctrl_c_ends_a_stream(server)
        server.reader.join(120)
        assert "Traceback" not in server.printed
        assert "curl http://127.0.0.1:" in server.printed
    finally:
        server.process.kill()
        server.process.wait(120)
        server.reader.join(120)


def assert_key_is_needed(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/health").status_code == 200
    with server.client("wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    with server.client("secret") as client:
        assert [model.id for model in client.models.list()] == ["base-model"]


def assert_large_bodies_are_refused(server: RunningServer) -> None:
    headers = {"Authorization": "Bearer secret"}
    response = httpx.post(f"{server.url}/v1/completions", content=b"x" * (2**20 + 1), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


def assert_plain_chat_continues_the_text(server: RunningServer) -> None:
    messages = [{"role": "system", "content": "A story."}, {"role": "user", "content": "The dog"}]
    asked = {"model": "base-model", "max_tokens": 12, "temperature": 0}
    with server.client("secret") as client:
        chat = client.chat.completions.create(messages=messages, **asked)
        plain = client.completions.create(prompt="A story.\nThe dog", **asked)
    assert chat.choices[0].message.content == plain.choices[0].text
    assert chat.usage == plain.usage


def assert_ctrl_c_ends_a_stream(server: RunningServer) -> None:
    asked = {"model": "base-model", "prompt": "The dog", "stream": True, "n": 8, "max_tokens": 250, "ignore_eos": True}
    headers = {"Authorization": "Bearer secret"}
    with httpx.stream("POST", f"{server.url}/v1/completions", json=asked, headers=headers, timeout=30) as response:
        lines = response.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGINT)
        last = [line for line in lines if line][-1]
    assert "shutting_down" in last
    assert server.process.wait(120) == 130


@pytest.mark.slow
def test_code_of_a_run_is_not_run_unasked_and_told_by_its_own_folder(run_folder: Path) -> None:
    done = serve(str(run_folder), "--port", "0")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "modeling_own.py" in done.stderr and f"`fgc trust {run_folder}` remembers it" in done.stderr


@pytest.mark.slow
def test_weights_that_lack_a_part_are_not_served(model_folder: Path, tmp_path: Path) -> None:
    partial = Path(shutil.copytree(model_folder, tmp_path / "partial"))
    weights = load_file(partial / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    done = serve(str(partial), "--port", "0")
    assert done.returncode == 2
    assert "lacks 1 of the model's weights: model.norm.weight" in done.stderr


def stream_after(server: RunningServer, sig: signal.Signals, num_tokens: int) -> tuple[str, int]:
    """The last line of a stream during which a signal came, and the exit code."""
    asked = {"prompt": "The dog", "stream": True, "max_tokens": num_tokens, "ignore_eos": True}
    with httpx.stream("POST", f"{server.url}/v1/completions", json=asked, timeout=60) as response:
        lines = response.iter_lines()
        next(lines)
        server.process.send_signal(sig)
        last = [line for line in lines if line][-1]
    return last, server.process.wait(30)


@pytest.mark.slow
def test_after_sigterm_answers_in_flight_are_finished(model_folder: Path) -> None:
    last, code = stream_after(start_server(model_folder), signal.SIGTERM, 200)
    assert (last, code) == ("data: [DONE]", 128 + signal.SIGTERM)


@pytest.mark.slow
def test_what_is_broken_is_said_before_serving(model_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(model_folder, tmp_path / "broken"))
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    done = serve(str(broken), "--port", "0")
    assert done.returncode == 2 and "NaN" in done.stderr and "Traceback" not in done.stderr
    done = serve(str(model_folder), "--host", "no-such-host.invalid")
    assert done.returncode == 2 and "--host no-such-host.invalid" in done.stderr

"""`fgc serve --engine vllm` with a model folder: vLLM answers as transformers generates, whole and as a stream.

    python tests/vllm/serve.py FOLDER --vllm-python .venv-vllm/bin/python

Gives the folder a tokenizer with a chat template, starts the server, asks `/v1/completions` and `/v1/chat/completions`
through the openai client. Prints one line of JSON; exits with 1 if a text differs.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import openai
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

_NUM_NEW = 24
_TEXT = "Once upon a time there was a small dog"
_MESSAGES = [{"role": "user", "content": "What did the dog see?"}]
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_START_S = 300


def main() -> int:
    """1 if a text differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vllm-python", required=True)
    options = parser.parse_args()
    start = time.perf_counter()
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(options.folder)
    expected = _expected(options.folder, tokenizer)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = _started(options, port)
    try:
        answers = _answers(server, port)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
    equal = {name: text == expected[name.split()[0]] for name, text in answers.items()}
    seconds = round(time.perf_counter() - start, 1)
    print(json.dumps({"equal": sum(equal.values()), "answers": len(equal), "seconds": seconds}), flush=True)
    for name in (name for name, is_equal in equal.items() if not is_equal):
        print(f"{name}: {answers[name]!r} instead of {expected[name.split()[0]]!r}", file=sys.stderr)
    return int(not all(equal.values()))


def _tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte, in the order of the model's vocabulary."""
    special = ["<pad>", "<s>", "</s>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*special, *alphabet]
    core = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def _expected(folder: Path, tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32)
    chat = tokenizer.apply_chat_template(_MESSAGES, tokenize=False, add_generation_prompt=True)
    found = {}
    for name, text in (("completion", _TEXT), ("chat", chat)):
        prompt = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
        ids = model.generate(prompt, max_new_tokens=_NUM_NEW, min_new_tokens=_NUM_NEW, do_sample=False)
        found[name] = tokenizer.decode(ids[0, prompt.shape[1] :], skip_special_tokens=True)
    return found


def _started(options: argparse.Namespace, port: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "fgc", "serve", str(options.folder), "--engine", "vllm", "--port", str(port)]
    words += ["--vllm-python", options.vllm_python, "--dtype", "float32", "--context-length", "256"]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING", **os.environ}
    environment.pop("PYTHONPATH", None)
    return subprocess.Popen(words, env=environment, stdout=sys.stderr, text=True)


def _answers(server: subprocess.Popen[str], port: int) -> dict[str, str]:
    """Each kind of answer, whole and as a stream."""
    address = f"http://127.0.0.1:{port}"
    _wait(server, address)
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none")
    model = client.models.list().data[0].id
    limits = {"model": model, "max_tokens": _NUM_NEW, "temperature": 0}
    extra = {"min_tokens": _NUM_NEW, "ignore_eos": True}
    completion = {**limits, "prompt": _TEXT, "extra_body": {**extra, "add_special_tokens": False}}
    chat = {**limits, "messages": _MESSAGES, "extra_body": extra}
    return {
        "completion": client.completions.create(**completion).choices[0].text,
        "completion stream": "".join(
            chunk.choices[0].text for chunk in client.completions.create(**completion, stream=True) if chunk.choices
        ),
        "chat": client.chat.completions.create(**chat).choices[0].message.content,
        "chat stream": "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(**chat, stream=True)
            if chunk.choices
        ),
    }


def _wait(server: subprocess.Popen[str], address: str) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        try:
            if httpx.get(f"{address}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise SystemExit(f"the server did not answer within {_START_S} s")


if __name__ == "__main__":
    raise SystemExit(main())

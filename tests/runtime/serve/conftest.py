"""A model and tokenizer small enough to make in a test, and a real server process that serves them."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: it reads this once

import openai
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_SENTENCES = [
    "Once upon a time there was a small dog. The dog liked to run and play in the park.",
    "One day the dog saw a big cat. The cat said hello. They went home and had tea.",
    "Übermut tut selten gut, sagte der Käse. 你好,世界! Ça va? 🙂🙃",
]
CONTEXT_LENGTH = 256
CHAT_TEMPLATE = (
    "{{ bos_token }}{% if tools %}{{ tools[0].function.name }}\n{% endif %}"
    "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('no such role') }}{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    "{% if thinks is defined %}<think>{% if not thinks %}</think>{% endif %}{% endif %}"
)

# For answers that have a form: before one, a model of random weights would think to the end of its context.
NO_THOUGHTS = {"chat_template_kwargs": {"thinks": False}}


def make_tokenizer(unnamed: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """380 tokens, all bytes among them; begins a text with `<s>`. `unnamed` are special tokens without a role."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(_SENTENCES, trainer)
    core.add_special_tokens(list(unnamed))
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )


def make_model(vocab_size: int, *, seed: int = 0) -> LlamaForCausalLM:
    """Half a million random weights, spread so that greedy choices are clear and texts vary."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        initializer_range=0.15,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config).eval()


def save_tiny(folder: Path) -> Path:
    """Write model and tokenizer as a Hugging Face folder."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    make_model(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="session")
def model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.set_num_threads(1)
    return make_model(len(tokenizer))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@dataclass(frozen=True)
class RunningServer:
    """A server process with what it has printed so far."""

    process: subprocess.Popen[str]
    lines: list[str]
    reader: threading.Thread
    url: str

    @property
    def printed(self) -> str:
        return "".join(self.lines)

    def client(self, api_key: str = "none") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=api_key, max_retries=0, timeout=120)


def environment(folder: Path) -> dict[str, str]:
    """Of a server process; the copy that transformers makes of a folder's model code stays beside the folder."""
    modules = str(folder.parent / "modules")
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": modules}


def start_server(folder: Path, *options: str) -> RunningServer:
    """Start on a free port and wait until the URL is printed."""
    command = [sys.executable, "-m", "fgc_runtime.serve", str(folder), "--port", "0", *options]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environment(folder))
    lines: list[str] = []
    is_ready = threading.Event()
    reader = threading.Thread(target=_read, args=(process, lines, is_ready), daemon=True)
    reader.start()
    is_ready.wait(300)
    url = re.search(r"OpenAI API at (http://\S+)/v1", "".join(lines))
    if url is None:
        process.kill()
        process.wait()
        raise AssertionError("the server did not start: " + "".join(lines))
    return RunningServer(process, lines, reader, url[1])


def _read(process: subprocess.Popen[str], lines: list[str], is_ready: threading.Event) -> None:
    assert process.stdout is not None
    with process.stdout as printed:
        for line in printed:
            lines.append(line)
            if line.startswith("OpenAI API at "):
                is_ready.set()
    is_ready.set()


def stop_server(server: RunningServer) -> None:
    server.process.terminate()
    assert server.process.wait(120) == 128 + signal.SIGTERM
    server.reader.join(120)
    assert "Traceback" not in server.printed


@pytest.fixture(scope="session")
def server(model_folder: Path) -> Iterator[RunningServer]:
    """One server that most tests share."""
    running = start_server(model_folder, "--max-batch-size", "8")
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with server.client() as client:
        yield client

"""A saved package divided over two processes computes and generates what one process does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fgc.diagnostics import Outcome
from fgc.emit.model import Expansion

_PREPARE = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from tiny_llama import TinyLlamaConfig, TinyLlamaForCausalLM
torch.manual_seed(0)
model = TinyLlamaForCausalLM(TinyLlamaConfig()).eval()
model.save_pretrained(sys.argv[1] + "/saved")
x = torch.randint(3, 128, (2, 9))
options = dict(max_new_tokens=8, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(x))
torch.save((x, model(x).logits, model.generate(x, **options)), sys.argv[1] + "/expected.pt")
"""
_LOAD = """
import sys, torch
import torch.distributed as dist
from transformers import AutoModelForCausalLM
from transformers.distributed import DistributedConfig
dist.init_process_group("gloo")
x, logits, tokens = torch.load(sys.argv[1] + "/expected.pt")
config = DistributedConfig(**{sys.argv[2]: 2})
model = AutoModelForCausalLM.from_pretrained(
    sys.argv[1] + "/saved", trust_remote_code=True, distributed_config=config)
with torch.no_grad():
    found = model(x).logits
found = found.full_tensor() if hasattr(found, "full_tensor") else found
options = dict(max_new_tokens=8, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(x))
assert (found - logits).abs().max() < 1e-5
assert torch.equal(model.generate(x, **options), tokens)
dist.barrier()
dist.destroy_process_group()
import os
os._exit(0)  # all was asserted; gloo's threads sometimes abort an interpreter that shuts down by itself
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(expand: Callable[..., Outcome[Expansion | None]], llama: str, tmp_path: Path) -> Path:
    """A folder with a saved model and what it computes in one process."""
    outcome = expand(llama)
    assert outcome.value is not None
    for name, text in outcome.value.files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    run(tmp_path, [sys.executable, "-c", _PREPARE, str(tmp_path)])
    (tmp_path / "load.py").write_text(_LOAD, encoding="utf-8")
    return tmp_path


def run(folder: Path, command: list[str]) -> None:
    environment = {**os.environ, "HF_HOME": str(folder / "cache"), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_two_processes_compute_and_generate_what_one_does(folder: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for size in ("tp_size", "pp_size", "fsdp_size"):
        run(folder, [*launcher, str(folder / "load.py"), str(folder), size])

"""Saved packages divided over two processes compute and generate what one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_LOAD = """
import json, os, sys, traceback
import torch
import torch.distributed as dist
from transformers import AutoModelForCausalLM
from transformers.distributed import DistributedConfig

torch.set_num_threads(1)
dist.init_process_group("gloo")
options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "eos_token_id": -1}
found = {}
for folder in sys.argv[1:]:
    for way in ("tp_size", "pp_size", "fsdp_size"):
        x, logits, generated = torch.load(folder + "/expected.pt")
        config = DistributedConfig(**{way: 2})
        name = folder.rpartition("/")[2] + " " + way
        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, trust_remote_code=True, distributed_config=config, attn_implementation="eager")
            with torch.no_grad():
                ours = model(x).logits
            ours = ours.full_tensor() if hasattr(ours, "full_tensor") else ours
            same = torch.equal(model.generate(x, attention_mask=torch.ones_like(x), **options), generated)
            found[name] = [(ours - logits).abs().max().item(), same]
        except Exception:
            found[name] = traceback.format_exc()
if dist.get_rank() == 0:
    print("FOUND " + json.dumps(found), flush=True)
dist.barrier()
dist.destroy_process_group()
os._exit(0)  # gloo's threads sometimes abort an interpreter that shuts down by itself
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def divided(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Returns what two processes make of all saved models, each divided in three ways."""
    folder = tmp_path_factory.mktemp("divided")
    (folder / "load.py").write_text(_LOAD, encoding="utf-8")
    environment = {**os.environ, "HF_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, str(folder / "load.py"), *map(str, sorted(saved.iterdir()))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    assert done.returncode == 0 and lines, done.stderr[-4000:]
    return json.loads(lines[0].removeprefix("FOUND "))  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", ["tp_size", "pp_size", "fsdp_size"])
def test_two_processes_compute_and_generate_what_one_does(
    divided: dict[str, object], architecture: str, way: str
) -> None:
    found = divided[f"{architecture} {way}"]
    assert isinstance(found, list), found
    difference, is_same = found
    assert difference < 1e-4 and is_same

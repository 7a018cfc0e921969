"""Processes that differ are told so before the first step; work on checkpoints is divided among them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.checkpoint.manifest import share_of
from fgc_runtime.distributed import first_host, meet_by_slurm
from fgc_runtime.trainers import Trainer, TrainingArguments
from safetensors.torch import load_file

from .programs.train import examples, model

PROGRAM = Path(__file__).parent / "programs/ranks.py"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Returns what each of two processes saw."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run([sys.executable, *TORCHRUN, PROGRAM, folder], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads((folder / "told.json").read_text())
    return [{**process, "folder": folder} for process in found]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("same", "nothing"),
        ("argument", r"RanksDiffer: .* process 0 .*:\n  process 1 \(.*\): argument learning_rate is 0.002, and 0.001"),
        ("length", r"RanksDiffer: (.|\n)*process 1 \(.*\): length of train_dataset is 9, and 8"),
        ("content", r"RanksDiffer: (.|\n)*process 1 \(.*\): data.examples is sha256:\w+, and sha256:\w+"),
        ("folder", r"OSError: .*disk-. must be one folder for all processes, .* process 1 \(.*\) does not find"),
        ("one folder", "nothing"),
        (
            "disk",
            r"SaveFailed: checkpoint-1 could not be written: OSError: the disk is gone; there is no checkpoint .*",
        ),
    ],
)
def test_what_differs_is_named_on_all_processes(told: list[dict[str, Any]], name: str, message: str) -> None:
    for process in told:
        assert re.fullmatch(message, process["told"][name]), process["told"][name]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["saved", "read"])
def test_each_process_hashes_its_own_files_of_a_checkpoint(told: list[dict[str, Any]], what: str) -> None:
    first, second = (set(process[what]) for process in told)
    assert first and second and not first & second
    files = {"model.safetensors", "config.json", "training_state.pt", "trainer_state.json", "log_history.json"}
    assert first | second >= files
    assert {"__0_0.distcp"} <= first and {"__1_0.distcp"} <= second


@pytest.mark.slow
def test_metrics_get_the_examples_of_all_processes_in_order(told: list[dict[str, Any]]) -> None:
    expected = sum(number * int(example["input_ids"][0]) for number, example in enumerate(examples(7), 1))
    assert [process["told"]["metric"] for process in told] == [str(float(expected))] * 2


@pytest.mark.slow
def test_an_average_in_shards_is_that_of_one_process(told: list[dict[str, Any]], tmp_path: Path) -> None:
    args = TrainingArguments(
        output_dir=tmp_path, use_cpu=True, max_steps=3, ema_decay=0.5, per_device_train_batch_size=32
    )
    alone = Trainer(model, args, train_dataset=examples(24), callbacks=[])
    alone.train()
    alone.save_model()
    expected, found = (load_file(folder / "model.safetensors") for folder in (tmp_path, told[0]["folder"] / "ema"))
    for name, weight in expected.items():
        is_close = torch.isclose(found[name], weight, atol=1e-5, rtol=1e-4)
        assert is_close.float().mean() > 0.99  # Adam makes a step of a gradient that is all rounding


def test_files_are_shared_out_by_size() -> None:
    sizes = {"state/__0_0.distcp": 10, "state/__1_0.distcp": 2, "a": 7, "b": 3, "c": 1, "state/__9_0.distcp": 4}
    shares = [share_of(sizes, rank, 3) for rank in range(3)]
    assert shares == [["state/__0_0.distcp"], ["state/__1_0.distcp", "state/__9_0.distcp", "b"], ["a", "c"]]
    assert sorted(share_of(sizes, 0, 1)) == sorted(sizes)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("login1", "login1"),
        ("node[003-006,009]", "node003"),
        ("node[7,9-12],other1", "node7"),
        ("a-b,c", "a-b"),
        ("rack[1-2]node[05-08]", "rack1node05"),
        ("gpu[1-2].cluster", "gpu1.cluster"),
    ],
)
def test_the_first_host_of_slurms_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_tasks_of_srun_meet_and_those_of_torchrun_stay_as_they_are() -> None:
    task = {
        "SLURM_STEP_NUM_TASKS": "8",
        "SLURM_PROCID": "5",
        "SLURM_LOCALID": "1",
        "SLURM_STEP_NODELIST": "n[3-4]",
        "SLURM_JOB_ID": "20001",
    }
    meet_by_slurm(task)
    assert [task[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")] == ["5", "1", "8", "n3"]
    assert task["MASTER_PORT"] == "12001"
    of_torchrun = {**task, "RANK": "0", "WORLD_SIZE": "2"}
    meet_by_slurm(of_torchrun)
    assert (of_torchrun["RANK"], of_torchrun["WORLD_SIZE"]) == ("0", "2")
    batch_step = {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "n[3-4]"}
    before = dict(batch_step)
    meet_by_slurm(batch_step)
    assert batch_step == before

"""Two processes train like one: torchrun on the CPU."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

PROGRAM = Path(__file__).parent / "programs/train.py"

pytestmark = pytest.mark.slow


def train(folder: Path, processes: int, num_examples: int = 24, **arguments: Any) -> tuple[list[dict[str, Any]], str]:
    """The run's log records and its output."""
    launcher = [sys.executable] if processes == 1 else [*TORCHRUN, "--nproc-per-node", str(processes)]
    options = ["--arguments", json.dumps(arguments), "--num-examples", str(num_examples)]
    done = subprocess.run(
        [*launcher, str(PROGRAM), str(folder), *options], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (folder / "logs/trainer_logs.json").read_text().splitlines()]
    return records, done.stdout


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


# 24 examples: three full steps; 17: the last step has one example, none for the second process
@pytest.mark.parametrize("num_examples", [24, 17])
def test_two_processes_equal_one(tmp_path: Path, num_examples: int) -> None:
    one, output_of_one = train(
        tmp_path / "one", 1, num_examples, per_device_train_batch_size=8, per_device_eval_batch_size=3
    )
    two, output_of_two = train(
        tmp_path / "two", 2, num_examples, per_device_train_batch_size=2, gradient_accumulation_steps=2
    )
    losses = [[record["loss"] for record in records if "loss" in record] for records in (one, two)]
    assert len(losses[0]) == 3
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-6, name
    assert two[-1]["train_tokens"] == one[-1]["train_tokens"]
    # the evaluation too, and each line is printed by one process
    assert output_of_two.splitlines()[-1] == output_of_one.splitlines()[-1]
    assert output_of_two.count("The model is in") == 1


def test_resuming_on_two_processes_is_bit_equal(tmp_path: Path) -> None:
    arguments = {"per_device_train_batch_size": 3, "save_strategy": "steps", "max_steps": 6}
    straight, _ = train(tmp_path / "straight", 2, save_steps=3, save_total_limit=None, **arguments)
    checkpoint = tmp_path / "straight/checkpoints/checkpoint-3"
    resumed, _ = train(tmp_path / "resumed", 2, resume_from_checkpoint=str(checkpoint), **arguments)
    losses = [[record["loss"] for record in records if "loss" in record] for records in (straight, resumed)]
    assert losses[1] == losses[0][3:]
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("straight", "resumed")]
    assert all(tensor.equal(weights[1][name]) for name, tensor in weights[0].items())


def test_the_main_process_prepares_first(tmp_path: Path) -> None:
    program = tmp_path / "prepare.py"
    program.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from fgc_runtime.distributed import World, disconnect, main_process_first\n"
        "mark = Path(sys.argv[1])\n"
        "with main_process_first():\n"
        "    if World.connect().is_main:\n"
        "        time.sleep(0.5)\n"
        "        mark.write_text('prepared')\n"
        "    else:\n"
        "        assert mark.read_text() == 'prepared'\n"
        "disconnect()\n"
    )
    done = subprocess.run(
        [*TORCHRUN, "--nproc-per-node", "2", str(program), str(tmp_path / "mark")], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()


def test_optimizers_move_sharded_weights_as_they_move_whole_ones() -> None:
    program = PROGRAM.with_name("sharded_optimizers.py")
    done = subprocess.run(
        [*TORCHRUN, "--nproc-per-node", "2", str(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    gaps = {name: (float(apart), float(moved)) for name, apart, moved in map(str.split, done.stdout.splitlines())}
    assert len(gaps) == 8
    for name, (apart, moved) in gaps.items():
        assert apart < 1e-6, name
        assert moved > 5e-6, name  # every weight has taken part; a bias of zeros is scaled by 1e-3

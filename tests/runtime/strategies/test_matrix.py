"""Every model template trains with every trainer template and every kind of data, from `fgc build` to the saved model.

A cell is one of each. `make test-matrix` runs them all; otherwise one cell for each trainer template.
"""

import json
import math
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from fgc.cli.main import main
from transformers import AutoModelForCausalLM

LIBRARY = Path(__file__).parents[3] / "stdlib/fgc_stdlib"
PROCESSES = {"trainer": 1, "accelerate": 2, "ddp": 2, "fsdp2": 2, "pipeline": 2}  # by trainer template
KINDS_OF_DATA = ("packed", "tokenized", "stream")
EXAMPLES_PER_STEP = 8
# which cannot be trained in a pipeline, and what `fgc check` says of it
MIXTURES = ("gpt_oss", "mixtral", "olmoe", "qwen3_moe")
REFUSED = {(name, "pipeline"): "set router_aux_loss_coef: 0.0 in the model's configuration" for name in MIXTURES}
# the load-balancing loss of a mixture is computed for each micro-batch
TOLERANCE = dict.fromkeys(MIXTURES, 0.02)
CONFIG = """\
-- extends 'types/training_script/causal_lm/causal_lm.yaml'

[config_metadata]
    == super()
    -- set ns.model_name = 'cell'
    -- set ns.block_size = 32
    -- set ns.model_template = 'models/{model}/{model}-test.yaml'
    -- set ns.trainer_template = 'trainers/{trainer}.yaml'

[dataset]
    -- include 'datasets/text_files.yaml'
    validation_fraction: 0.2

[construct_tokenizer]
    -- include 'cell.tokenizer'

[datasets_definition]
    -- include 'datasets/{data}.yaml'

[optimizer]
    == super()
    lr: 5.0e-3

[lr_scheduler]
    == super()
    warmup_steps: 0

[trainer_definition]
    -- include 'cell.trainer'

#---- cell.tokenizer ----
-- extends 'tokenizers/bpe.yaml'

[tokenizer_args]
    vocab_size: 260

#---- cell.trainer ----
-- extends ns.trainer_template

[trainer_args]
    == super()
    use_cpu: true
    per_device_train_batch_size: {batch_size}
    max_steps: 2
    logging_steps: 1
    eval_strategy: steps
    eval_steps: 2
    max_eval_steps: 2
    save_steps: 2
"""


class Cell(NamedTuple):
    """Names of three templates: of a model family, of a trainer, and of how texts become examples."""

    model: str
    trainer: str
    data: str

    @property
    def processes(self) -> int:
        return PROCESSES[self.trainer]

    @property
    def text(self) -> str:
        """The configuration; each step has the same examples, however many processes share them."""
        is_pipeline = self.trainer == "pipeline"  # its processes work on the same examples
        size = EXAMPLES_PER_STEP if is_pipeline else EXAMPLES_PER_STEP // self.processes
        return CONFIG.format(model=self.model, trainer=self.trainer, data=self.data, batch_size=size)


def models() -> list[str]:
    """The model families of the library that have sizes: each must have one for tests."""
    return sorted(path.stem for path in (LIBRARY / "models").glob("*.yaml") if path.with_suffix("").is_dir())


def whole_matrix() -> Iterator[Cell]:
    """Every cell."""
    for model in models():
        for data in KINDS_OF_DATA:
            yield from (Cell(model, trainer, data) for trainer in PROCESSES)


def one_for_each_trainer() -> Iterator[Cell]:
    """The families that ask most of a trainer: windows, experts, norms of heads, no final norm, learned positions."""
    yield from (
        Cell("gemma3", "trainer", "stream"),
        Cell("qwen3", "accelerate", "tokenized"),
        Cell("mixtral", "ddp", "packed"),
        Cell("transformer", "fsdp2", "packed"),
        Cell("gpt2", "pipeline", "stream"),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        cells = whole_matrix() if metafunc.config.getoption("--matrix") else one_for_each_trainer()
        metafunc.parametrize("cell", [*cells], ids="-".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with documents of different lengths, in which every cell is built."""
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "data").mkdir()
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "seven", "wizards"]
    for number in range(40):
        text = " ".join(words[(number + place * place) % len(words)] for place in range(10 + 3 * (number % 9)))
        (folder / f"data/{number}.txt").write_text(text, encoding="utf-8")
    return folder


Training = Callable[[Cell], list[float]]


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[Cell, list[float]]:
    """Returns what the cells' losses were, each trained once."""
    return {}


@pytest.fixture
def train(
    folder: Path,
    trained: dict[Cell, list[float]],
    in_processes: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Training:
    """Checks and builds a cell, then runs its program; the losses of its steps."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FGC_CACHE_DIR", str(folder / "cache"))

    def once(cell: Cell) -> list[float]:
        config = folder / f"{'_'.join(cell)}.yaml"
        config.write_text(cell.text, encoding="utf-8")
        assert main(["check", str(config)]) == 0, capsys.readouterr()
        assert "no findings" in (shown := capsys.readouterr()).out, shown
        for old in ("out", "output_models"):
            shutil.rmtree(folder / old, ignore_errors=True)
        assert main(["build", str(config), "-o", str(folder / "out")]) == 0, capsys.readouterr()
        in_processes(cell.processes, run_program, folder / "out/train.py")
        return losses(folder / "output_models/cell")

    def get(cell: Cell) -> list[float]:
        if cell not in trained:
            trained[cell] = once(cell)
        return trained[cell]

    return get


def run_program(program: Path) -> None:
    """Returns what `python train.py` does, in a process of its own that has imported torch."""
    sys.argv = [str(program)]
    sys.path.insert(0, str(program.parent))
    runpy.run_path(str(program), run_name="__main__")


def losses(output: Path) -> list[float]:
    """The training losses that a run has logged, and the last one's evaluation."""
    (log,) = output.glob("runs/*/trainer_logs.json")
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [record["loss"] for record in records if "learning_rate" in record]
    return [*steps, *(record["eval_loss"] for record in records if "eval_loss" in record)]


@pytest.mark.slow
def test_a_cell_trains_as_on_one_process_and_its_model_loads(cell: Cell, train: Training, folder: Path) -> None:
    """Two steps and an evaluation have the losses of the plain trainer, beginning with a guess among all tokens."""
    if refusal := REFUSED.get((cell.model, cell.trainer)):
        with pytest.raises(AssertionError, match=refusal):
            train(cell)
        return
    plain = cell._replace(trainer="trainer")
    expected = train(plain)
    found = train(cell)
    assert len(found) == 3
    assert found[0] == pytest.approx(math.log(260), abs=1.5)
    assert found[1] < found[0] - 0.05
    assert found[0] == pytest.approx(expected[0], abs=TOLERANCE.get(cell.model, 1e-4))
    assert found == pytest.approx(expected, abs=TOLERANCE.get(cell.model, 2e-3))
    model = AutoModelForCausalLM.from_pretrained(folder / "output_models/cell", trust_remote_code=True)
    with torch.no_grad():
        assert model(torch.tensor([[1, 2, 3]])).logits.isfinite().all()


def test_every_template_has_its_cells() -> None:
    """A new trainer template must say with how many processes it is tried, a new family must have a size for tests."""
    there = {path.stem for path in (LIBRARY / "trainers").glob("*.yaml")} - {"base_trainer"}
    assert there == set(PROCESSES) == {cell.trainer for cell in one_for_each_trainer()}
    assert {"deepone", "gemma3", "gpt2", "llama", "mixtral", "qwen3", "transformer"} <= {*models()}
    assert [name for name in models() if not (LIBRARY / f"models/{name}/{name}-test.yaml").is_file()] == []

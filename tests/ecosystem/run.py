"""Use the packages of all families in other libraries: PEFT, TRL, torchao, ONNX Runtime: `make test-ecosystem`.

    python tests/ecosystem/run.py [--only llama] [--skip trl]

Each family is its test size with random weights. A line for each family and library says how far the result is from the
model's own logits, or why it failed; exits with 1 if a case fails.
"""

import argparse
import copy
import math
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

_ROOT = Path(__file__).parents[2]
_FAMILIES = sorted(
    path.stem.removesuffix("-test") for path in (_ROOT / "stdlib/fgc_stdlib/models").glob("*/*-test.yaml")
)
_LENGTHS = (12, 33)  # of texts; the first is the one that an export sees
# The largest differences of logits, relative to the largest logit, that docs/guide/elsewhere.md tells.
_LIMITS = {"peft": 2e-6, "int8": 0.03, "int4": 0.65, "onnx": 1e-6}


def main() -> int:
    """1 if a case fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=_FAMILIES, action="append")
    parser.add_argument("--skip", choices=list(_CHECKS), action="append", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    checks = {name: check for name, check in _CHECKS.items() if name not in options.skip}
    failed = total = 0
    with tempfile.TemporaryDirectory(prefix="fgc-ecosystem-") as name:
        for family in options.only or _FAMILIES:
            model = _model(Path(name), family)
            for library, check in checks.items():
                total += 1
                try:
                    result = check(copy.deepcopy(model), Path(name))
                except Exception as error:  # anything that a library raises is a result
                    failed += 1
                    result = f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
                print(f"{family:12} {library:8} {result}", flush=True)
    print(f"{total - failed} of {total}")
    return int(failed > 0)


def _model(root: Path, family: str) -> PreTrainedModel:
    """The model of a family in its test size, loaded from a folder as anybody would."""
    template = root / f"{family}.yaml"
    template.write_text(f"-- extends 'models/{family}/{family}-test.yaml'\n", encoding="utf-8")
    build, folder = root / f"build_{family}", root / family
    command = [sys.executable, "-m", "fgc", "build", str(template), "--target", "model", "-o", str(build)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    sys.path.insert(0, str(build))
    torch.manual_seed(0)
    package = __import__(f"{family}_test")
    title = "".join(map(str.capitalize, family.split("_"))) + "Test"
    model = getattr(package, f"{title}ForCausalLM")(getattr(package, f"{title}Config")())
    with torch.no_grad():
        for parameter in model.parameters():  # larger than they begin, so that errors show
            parameter += 0.05 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    return loaded.eval()


def _tokens(length: int) -> Tensor:
    return torch.randint(3, 256, (2, length), generator=torch.Generator().manual_seed(length))


@torch.no_grad()
def _logits(model: nn.Module, tokens: Tensor) -> Tensor:
    found: Tensor = model(input_ids=tokens, use_cache=False).logits
    return found


def _distance(found: Tensor, expected: Tensor, limit: float) -> str:
    """The largest difference, relative to the largest logit. Raises ValueError above the limit."""
    distance = ((found - expected).abs().max() / expected.abs().max()).item()
    if not distance <= limit:
        raise ValueError(f"logits differ by {distance:.2g} of the largest, more than {limit:g}")
    return f"logits differ by {distance:.2g} of the largest"


def _peft(model: PreTrainedModel, folder: Path) -> str:
    """An adapter learns, and merged it computes the same. Only compressed queries (DeepSeek) need names."""
    from peft import LoraConfig, get_peft_model

    is_compressed = any(name.endswith(".q_b_proj") for name, _ in model.named_modules())
    names = "all-linear" if is_compressed else None
    adapted = get_peft_model(model, LoraConfig(r=4, init_lora_weights=False, target_modules=names))
    tokens = _tokens(_LENGTHS[0])
    adapted.train()(input_ids=tokens, labels=tokens).loss.backward()
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained), "an adapter has no gradient"
    expected = _logits(adapted.eval(), tokens)
    return _distance(_logits(adapted.merge_and_unload(), tokens), expected, _LIMITS["peft"])


def _trl(model: PreTrainedModel, folder: Path) -> str:
    """`SFTTrainer` takes two steps."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    words = {word: number for number, word in enumerate(["<pad>", "<s>", "</s>", *"abcdefgh"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<s>")
    texts = Dataset.from_dict({"text": ["a b c d e f", "h g f e d c b a"] * 4})
    arguments = SFTConfig(
        output_dir=str(folder / "trl"),
        max_steps=2,
        per_device_train_batch_size=2,
        report_to="none",
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        logging_steps=1,
    )
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=texts, processing_class=fast)
    loss = trainer.train().training_loss
    assert 0.0 < loss < 100.0, f"the loss is {loss}"
    return f"two steps, loss {loss:.3f}"


def _torchao(model: PreTrainedModel, config: object, limit: float) -> str:
    """Linear layers with fewer bits compute about the same."""
    from torchao.quantization import quantize_

    tokens = _tokens(_LENGTHS[0])
    expected = _logits(model, tokens)
    quantize_(model, config)
    found = _logits(model, tokens)
    assert not torch.equal(found, expected), "nothing was quantized"
    return _distance(found, expected, limit)


def _int8(model: PreTrainedModel, folder: Path) -> str:
    from torchao.quantization import Int8WeightOnlyConfig

    return _torchao(model, Int8WeightOnlyConfig(), _LIMITS["int8"])


def _int4(model: PreTrainedModel, folder: Path) -> str:
    from torchao.quantization import IntxWeightOnlyConfig
    from torchao.quantization.granularity import PerGroup

    widths = [module.in_features for module in model.modules() if isinstance(module, nn.Linear)]
    groups = PerGroup(math.gcd(16, *widths))
    return _torchao(model, IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=groups), _LIMITS["int4"])


class _Logits(nn.Module):
    """Tokens to logits, without a cache."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=input_ids, use_cache=False).logits
        return logits


def _onnx(model: PreTrainedModel, folder: Path) -> str:
    """Exported with one length, ONNX Runtime computes the logits of another one, too."""
    from onnxruntime import InferenceSession

    if getattr(model.config, "num_local_experts", None):
        model.set_experts_implementation("batched_mm")  # ONNX has no grouped products
    path = folder / "model.onnx"
    free = {"input_ids": {1: torch.export.Dim("time", min=2, max=64)}}
    torch.onnx.export(_Logits(model), (_tokens(_LENGTHS[0]),), path, dynamo=True, dynamic_shapes=free, verbose=False)
    session = InferenceSession(path)
    results = []
    for length in _LENGTHS:
        found = session.run(None, {"input_ids": _tokens(length).numpy()})[0]
        results.append(_distance(torch.from_numpy(found), _logits(model, _tokens(length)), _LIMITS["onnx"]))
    return results[-1]


_CHECKS: dict[str, Callable[[PreTrainedModel, Path], str]] = {
    "peft": _peft,
    "trl": _trl,
    "int8": _int8,
    "int4": _int4,
    "onnx": _onnx,
}


if __name__ == "__main__":
    sys.exit(main())

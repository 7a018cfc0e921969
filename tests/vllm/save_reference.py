"""In fgc's environment: save a random model of a built package, and the tokens that transformers generates with it."""

import importlib
import json
import sys
from pathlib import Path

import torch
from fgc_runtime.checkpoint import save_model

_NUM_NEW = 24
_LENGTHS = (5, 17, 40, 64)


def main(build: Path, package: str, target: Path) -> None:
    """Write the model to `target` and prompts with their greedy continuations to `target/expected.json`."""
    sys.path.insert(0, str(build))
    module = importlib.import_module(package)
    config_class, _, model_class = sorted((getattr(module, name) for name in module.__all__), key=_role)
    torch.manual_seed(0)
    model = model_class(config_class()).eval()
    for parameter in model.parameters():
        # larger than usual: logits far enough apart that rounding does not decide the greedy token
        torch.nn.init.normal_(parameter, std=0.15)
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, model.config.vocab_size, (length,), generator=generator) for length in _LENGTHS]
    expected = [_continued(model, prompt) for prompt in prompts]
    save_model(model, None, target)
    answer = {"prompts": [prompt.tolist() for prompt in prompts], "tokens": expected}
    (target / "expected.json").write_text(json.dumps(answer), encoding="utf-8")


def _role(item: type) -> int:
    return ("Config", "Model", "CausalLM").index(
        next(end for end in ("Config", "CausalLM", "Model") if item.__name__.endswith(end))
    )


def _continued(model: torch.nn.Module, prompt: torch.Tensor) -> list[int]:
    ids = model.generate(prompt[None], max_new_tokens=_NUM_NEW, min_new_tokens=_NUM_NEW, do_sample=False)
    return [int(token) for token in ids[0, len(prompt) :]]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

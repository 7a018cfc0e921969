"""`python -m fgc_runtime.convert.merge JSON`: an adapter and its base to one model, for `fgc convert --merge`.

Sums are made in float32 and rounded once, to the dtype of the base. Before the model appears, its logits are compared
with those of base and adapter.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.full_disk import file_error
from fgc_runtime.models.folder import ModelError
from fgc_runtime.output import run_command
from fgc_runtime.packages import require_extra
from fgc_runtime.trust import UntrustedCode

_TOLERANCE = 1e-4  # relative to logits above 1: the products are summed in another order
_SHAPE = (2, 32)  # of the random tokens


def main(words: list[str]) -> int:
    """Merge; 2 if it cannot be done."""
    try:
        require_extra("peft", "fgc convert --merge", extra="peft")
        from transformers.utils import logging  # torch and transformers: seconds

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        warnings.simplefilter("ignore")  # of what PEFT calls, and of ties that are told below
        print(merge(**json.loads(words[0])))
        return 0
    except (ConvertError, ModelError, UntrustedCode, ModuleNotFoundError, ValueError, FileNotFoundError) as error:
        print(f"fgc convert: {error}", file=sys.stderr)
    except OSError as error:
        print(f"fgc convert: {file_error(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


def merge(
    adapter: str,
    target: str,
    *,
    base: str | None = None,
    dtype: str | None = None,
    is_verified: bool = True,
    trust_remote_code: bool | None = None,
) -> str:
    """Writes the model that base and adapter are together; returns what was done, as text.

    `base` None: the one that the adapter was trained on. Raises ConvertError, AdapterMismatch, FileNotFoundError.
    """
    from peft import PeftModel

    from fgc_runtime.finetune import load_base
    from fgc_runtime.finetune.adapters import require_base

    folder = Path(adapter)
    settings = _settings(folder)
    place = base or str(settings.get("base_model_name_or_path") or "")
    if not place:
        raise ConvertError(f"{adapter} does not say which base it was trained on: name it with --base")
    try:
        model = load_base(place, dtype="float32", trust_remote_code=trust_remote_code)
    except FileNotFoundError as error:
        raise ConvertError(f"the base of {adapter} is not there: {error}. `--base MODEL` names another place") from None
    require_base(folder, model)
    note = _untied(model, settings)
    stored = getattr(torch, dtype) if dtype is not None else _stored_dtype(place, settings)
    whole = PeftModel.from_pretrained(model, adapter)
    whole.train(False)
    ids = torch.randint(int(model.config.vocab_size), _SHAPE, generator=torch.Generator().manual_seed(0))
    expected = _logits(whole, ids) if is_verified else None
    merged: Any = whole.merge_and_unload(safe_merge=True)
    difference = _compared(merged, ids, expected) if expected is not None else None
    _write(merged.to(stored), folder, Path(place), Path(target))
    checked = "" if difference is None else f"\nlogits differ by {difference:.2g} in float32 from those of both"
    return f"{target} is {place} with {adapter} merged, in {str(stored).removeprefix('torch.')}{note}{checked}"


def _settings(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConvertError(f"{folder} holds no adapter: it has no adapter_config.json") from None
    except ValueError as error:
        raise ConvertError(f"{folder / 'adapter_config.json'} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConvertError(f"{folder / 'adapter_config.json'} holds no settings")
    return found


def _untied(model: PreTrainedModel, settings: dict[str, Any]) -> str:
    """Gives the head weights of its own where an adapter changes one of two that share them; says so."""
    own: Any = model
    head, embedding = own.get_output_embeddings(), own.get_input_embeddings()
    if head is None or head.weight is not embedding.weight or settings.get("ensure_weight_tying"):
        return ""
    wanted = settings.get("target_modules") or []
    names = {name.rpartition(".")[2] for name, module in own.named_modules() if module in (head, embedding)}
    if isinstance(wanted, str) or not names & {str(item).rpartition(".")[2] for item in wanted}:
        return ""
    head.weight = nn.Parameter(head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    return "; its head has weights of its own now, which the base shared with the embedding"


def _stored_dtype(place: str, settings: dict[str, Any]) -> torch.dtype:
    from transformers import AutoConfig

    from fgc_runtime.finetune.identity import base_folder

    folder = base_folder(place, settings.get("revision"))
    if folder is not None and (folder / "config.json").is_file():
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = written.get("dtype") or written.get("torch_dtype") or "float32"
    else:
        name = AutoConfig.from_pretrained(place).dtype or "float32"
    dtype = getattr(torch, str(name).removeprefix("torch."), torch.float32)
    return dtype if isinstance(dtype, torch.dtype) else torch.float32


@torch.inference_mode()
def _logits(model: nn.Module, ids: Tensor) -> Tensor:
    logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return logits


def _compared(merged: nn.Module, ids: Tensor, expected: Tensor) -> float:
    """Raises ConvertError if the merged model computes something else."""
    difference = (_logits(merged, ids) - expected).abs().max().item()
    if not difference <= _TOLERANCE * max(1.0, expected.abs().max().item()):
        raise ConvertError(
            f"the logits of the merged model differ by {difference:.2g} from those of base and adapter: it computes "
            "something else, and is not written"
        )
    return float(difference)


def _write(model: PreTrainedModel, adapter: Path, base: Path, target: Path) -> None:
    from fgc_runtime.checkpoint.model import save_model
    from fgc_runtime.convert import companions
    from fgc_runtime.convert.folders import complete_or_absent

    has_own = (adapter / "tokenizer_config.json").is_file()  # with its template, and the token that ends its turns
    tokenizer = AutoTokenizer.from_pretrained(adapter) if has_own else None
    with complete_or_absent(target) as unfinished:
        save_model(model, tokenizer, unfinished)
        if not has_own and base.is_dir():
            companions.copy_companions(base, unfinished)
        if (base / "model.yaml").is_file():
            (unfinished / "model.yaml").write_bytes((base / "model.yaml").read_bytes())


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))

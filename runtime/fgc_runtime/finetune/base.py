"""A folder or a name to a model that is to be trained further, and what is done to it before."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from fgc_runtime.finetune.adapters import add_adapter, continue_adapter, has_adapter
from fgc_runtime.finetune.freezing import freeze
from fgc_runtime.finetune.vocabulary import fit_vocabulary
from fgc_runtime.packages import require_extra
from fgc_runtime.trust import checked_folder

if TYPE_CHECKING:
    from peft import PeftConfig

Made = PreTrainedModel | Callable[[], PreTrainedModel]


def load_base(
    name_or_path: str, *, dtype: str = "auto", trust_remote_code: bool | None = None, **options: Any
) -> PreTrainedModel:
    """Loads a causal language model: a folder of fgc, any other of transformers, or a name of the hub.

    Code in a folder runs if fgc generated it on this machine, or `fgc trust` was told of it; else only if
    `trust_remote_code` says so. `dtype` "auto" is that of the stored weights; `options` go to `from_pretrained`.
    Raises FileNotFoundError for a path that is no folder, ValueError for a folder that holds an adapter only,
    UntrustedCode for code that may not run.
    """
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        _require_name(name_or_path)
        told = bool(trust_remote_code)
        named = AutoModelForCausalLM.from_pretrained(name_or_path, dtype=dtype, trust_remote_code=told, **options)
        return _model(named)
    if (folder / "adapter_config.json").is_file():
        raise ValueError(
            f"model: {name_or_path} holds an adapter and no model. Give its base as the model and the folder as "
            f"`adapter`, or make a model of both: fgc convert --merge {name_or_path} merged"
        )
    if not (folder / "config.json").is_file():
        raise ValueError(f"model: {name_or_path} holds no model: it has no config.json{_inside(folder)}")
    checked = checked_folder(folder, is_told=trust_remote_code)
    loaded = AutoModelForCausalLM.from_pretrained(
        checked.path, dtype=dtype, trust_remote_code=checked.is_trusted, **options
    )
    model = _model(loaded)
    model.name_or_path = model.config._name_or_path = str(folder.resolve())  # not the copy whose code was checked
    return model


def load_tokenizer(name_or_path: str, *, trust_remote_code: bool | None = None) -> PreTrainedTokenizerFast:
    """Loads the tokenizer of a model that `load_base` loads, by the same rules; nothing is asked on the terminal.

    Raises UntrustedCode, FileNotFoundError.
    """
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        _require_name(name_or_path)
        named: Any = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=bool(trust_remote_code))
        return _tokenizer(named)
    checked = checked_folder(folder, is_told=trust_remote_code)
    found: Any = AutoTokenizer.from_pretrained(checked.path, trust_remote_code=checked.is_trusted)
    found.name_or_path = str(folder.resolve())
    return _tokenizer(found)


def _require_name(name_or_path: str) -> None:
    """Raises FileNotFoundError for what can only be a path: the hub would be asked for it otherwise."""
    if name_or_path.startswith((".", "/", "~", "output_")) or name_or_path.count("/") > 1:
        raise FileNotFoundError(f"model: there is no folder {name_or_path} in {Path.cwd()}")


def _tokenizer(loaded: Any) -> PreTrainedTokenizerFast:
    if not isinstance(loaded, PreTrainedTokenizerFast):
        raise ValueError(f"tokenizer ({type(loaded).__name__}) must be a fast one: convert it to tokenizer.json first")
    return loaded


def _model(loaded: Any) -> PreTrainedModel:
    model: PreTrainedModel = loaded
    return model


def _inside(folder: Path) -> str:
    """Names models in folders below, for instance of a run or a checkpoint."""
    found = sorted(str(path.parent) for path in folder.glob("*/config.json"))
    return f"; there is one in {found[-1]}" if found else ""


def four_bits() -> Any:
    """Returns the `quantization_config` of QLoRA: NF4, scales quantized too; computes in bfloat16, float32 on a CPU.

    Dettmers et al. 2023, arXiv:2305.14314. Raises ModuleNotFoundError without bitsandbytes.
    """
    require_extra("bitsandbytes", "QLoRA", extra="qlora")
    from transformers import BitsAndBytesConfig

    make: Any = BitsAndBytesConfig
    return make(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
    )


def fine_tuned(
    base: Made,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    new_tokens: Literal["refuse", "resize"] = "refuse",
    trained: Sequence[str] | None = None,
    frozen: Sequence[str] = (),
    adapter: "PeftConfig | Callable[[], PeftConfig] | str | Path | None" = None,
) -> PreTrainedModel:
    """Returns a model that is ready to be trained further.

    `tokenizer` is compared with the model's vocabulary: tokens that the model has no embedding for are refused, or get
    new rows with `new_tokens` "resize". `trained` and `frozen` are patterns of parameter names (`freeze`). `adapter`, a
    configuration of PEFT or a function that makes one, freezes the model and adds small matrices that are trained in
    its place; a folder with an adapter of this base goes on from there. Raises ValueError, naming parameter, value and
    rule; ModuleNotFoundError without PEFT; AdapterMismatch for a folder of another base.
    """
    if new_tokens not in ("refuse", "resize"):
        raise ValueError(f"new_tokens ({new_tokens!r}) must be one of refuse, resize")
    model = base if isinstance(base, PreTrainedModel) else base()
    if has_adapter(model):
        raise ValueError("base has an adapter already: give its base, and the adapter's folder as `adapter`")
    if tokenizer is not None:
        fit_vocabulary(model, tokenizer, may_resize=new_tokens == "resize", has_adapter=adapter is not None)
    if adapter is None:
        if getattr(model, "is_quantized", False):
            raise ValueError("base is quantized: its weights cannot be trained; give an adapter")
        freeze(model, trained=trained, frozen=frozen)
        return model
    if trained is not None or frozen:
        raise ValueError("trained and frozen must be left out with an adapter, which freezes the whole model")
    if isinstance(adapter, str | Path):
        continue_adapter(model, Path(adapter))
    else:
        add_adapter(model, adapter() if callable(adapter) else adapter)
    return model

"""A model from safetensors files, of which each tensor is read when it is asked for.

transformers loads it: its own functions name and convert what lies in the files, given tensors without contents.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from transformers import PreTrainedModel
from transformers.core_model_loading import convert_and_load_state_dict_in_model

from fgc_runtime.models.stored import NotStored, stored_tensors
from fgc_runtime.trainers.deferred.recording import Recording

_ONE_AFTER_THE_OTHER = {"HF_DEACTIVATE_ASYNC_LOAD": "1"}  # in a thread, nothing is recorded


@contextmanager
def reading_later(recording: Recording) -> Iterator[None]:
    """In the body, models that transformers loads on the CPU have no contents in large parameters, but a history."""
    load_all: Any = PreTrainedModel.from_pretrained.__func__  # type: ignore[attr-defined]  # of a class method

    def load(cls: type[PreTrainedModel], *args: Any, **kwargs: Any) -> Any:
        was_loading, recording.is_loading = recording.is_loading, True
        try:
            return load_all(cls, *args, **kwargs)
        finally:
            recording.is_loading = was_loading

    def load_later(model: PreTrainedModel, state: Any, files: Any, config: Any, *rest: Any, **more: Any) -> Any:
        if state is not None or not _can_wait(files, config):
            raise recording.refuse("loads weights otherwise than as they are in safetensors files, onto the CPU")
        try:
            tensors = stored_tensors(Path(file) for file in files)
        except NotStored as error:  # transformers says what it thinks of it
            raise recording.refuse(f"loads a file of another kind ({error})") from error
        later = {name: recording.from_file(stored) for name, stored in tensors.items()}
        with patch.dict(os.environ, _ONE_AFTER_THE_OTHER):
            return convert_and_load_state_dict_in_model(model, later, config)

    with (
        patch.object(PreTrainedModel, "from_pretrained", classmethod(load)),
        patch.object(PreTrainedModel, "_load_pretrained_model", staticmethod(load_later)),
    ):
        yield


def _can_wait(files: Sequence[str] | None, config: Any) -> bool:
    is_plain = config.hf_quantizer is None and config.device_map is None and config.device_mesh is None
    return is_plain and bool(files) and all(str(file).endswith(".safetensors") for file in files or ())

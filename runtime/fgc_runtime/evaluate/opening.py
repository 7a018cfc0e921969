"""A folder to the model and the tokenizer that are evaluated."""

import sys
from pathlib import Path

from transformers.utils import logging as transformers_logging

from fgc_runtime.evaluate.arguments import Options
from fgc_runtime.models.finding import FolderError, ModelFolder, find_model
from fgc_runtime.models.loading import Loaded, load


def open_model(options: Options) -> Loaded:
    """Loads a folder's model, to compute and not to train. Raises FolderError."""
    folder = find_model(Path(str(options.model)), options.tokenizer)
    print(f"loading {folder.weights} ...", file=sys.stderr, flush=True)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    loaded = load(folder, options)
    loaded.model.train(False)
    _refuse_other_vocabulary(loaded, folder)
    return loaded


def _refuse_other_vocabulary(loaded: Loaded, folder: ModelFolder) -> None:
    """Raises FolderError for a tokenizer with tokens that the model has no row for."""
    rows = loaded.model.get_input_embeddings().get_parameter("weight").shape[0]
    if len(loaded.tokenizer) > rows:
        raise FolderError(
            f"the tokenizer in {folder.tokenizer} has {len(loaded.tokenizer)} tokens, the model in {folder.weights} "
            f"has rows for {rows}: it is another model's tokenizer"
        )

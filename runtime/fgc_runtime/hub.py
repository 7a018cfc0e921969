"""`python -m fgc_runtime.hub FOLDER NAME`: a model to the Hugging Face Hub, by `huggingface_hub` and its login.

Only what belongs to a model goes there: no checkpoints, no logs, no records of runs.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

from fgc_runtime.models.finding import FolderError, find_model
from fgc_runtime.output import run_command
from fgc_runtime.runs.card import CARD, is_ours

_OF_A_MODEL = (
    *("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer.json"),
    *("tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *(
        "merges.txt",
        "vocab.txt",
        "spiece.model",
        "chat_template.jinja",
        "*.py",
        "model.yaml",
        CARD,
        "LICENSE*",
        "NOTICE*",
    ),
)
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = ("1", "ON", "YES", "TRUE")


class HubError(Exception):
    """A model cannot go to the Hub; the message says why and what to do."""


def files_of(folder: Path) -> list[Path]:
    """The files of a folder that belong to its model.

    Raises FolderError for a folder that is none, and for links that lead out of it: what they lead to was not meant.
    """
    found = find_model(folder)
    if {found.config, found.weights, found.tokenizer} != {folder}:
        raise FolderError(f"{folder} does not hold a whole model: weights are in {found.weights}; push that folder")
    files = sorted({path for pattern in _OF_A_MODEL for path in folder.glob(pattern) if path.is_file()})
    home = folder.resolve()
    roots = [home, home.parents[1] / "blobs"] if home.parent.name == "snapshots" else [home]  # as the Hub's cache lies
    for path in files:
        if not any(path.resolve().is_relative_to(root) for root in roots):
            raise FolderError(f"{path} is a link to {path.resolve()}: copy that file if it is to be published")
    return files


def push(folder: Path, name: str, *, is_private: bool, revision: str | None, message: str | None) -> str:
    """Uploads the model in one commit and returns where it is. Raises HubError and FolderError."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    files = files_of(folder)
    if any(os.environ.get(variable, "").upper() in _TRUE for variable in _OFFLINE):
        raise HubError("HF_HUB_OFFLINE is set: nothing goes to the Hub; unset it to push")
    api = HfApi()
    try:
        url = api.create_repo(name, private=is_private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(url.repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=url.repo_id,
            folder_path=folder,
            allow_patterns=[path.name for path in files],
            commit_message=message or f"Upload {folder.resolve().name}",
            revision=revision,
        )
    except LocalTokenNotFoundError:
        raise HubError("you are not logged in to the Hub: `hf auth login`, or a token in HF_TOKEN") from None
    except HfHubHTTPError as error:
        raise HubError(_refusal(error, name)) from None
    except HFValidationError as error:
        raise HubError(f"`{name}` is no name of a repository: {_first_line(error)}") from None
    except Exception as error:  # httpx and urllib3 have errors of their own for what is no answer
        raise HubError(f"the Hub cannot be reached: {type(error).__name__}: {_first_line(error)}") from None
    return str(getattr(commit, "commit_url", None) or url)


def _refusal(error: Exception, name: str) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return "the Hub does not know you: `hf auth login`, or a token in HF_TOKEN"
    if status == 403:
        return f"you may not write to {name}: use a token that may write, and a name below your own"
    return f"the Hub refuses: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def main(words: list[str] | None = None) -> int:
    """Push; 2 if it cannot be done."""
    options = _parser().parse_args(words)
    try:
        return _push(options)
    except (FolderError, HubError) as error:
        print(f"fgc push: {error}", file=sys.stderr)
        return 2


def _push(options: Namespace) -> int:
    files = files_of(options.folder)
    if options.dry_run:
        print("\n".join(_listed(files)))
        return 0
    for line in _cautions(options.folder):
        print(f"fgc push: {line}", file=sys.stderr)
    where = push(
        options.folder,
        options.name,
        is_private=options.private,
        revision=options.revision,
        message=options.message,
    )
    print(f"{len(files)} files are at {where}")
    return 0


def _listed(files: Iterable[Path]) -> Iterable[str]:
    for path in files:
        yield f"{path.stat().st_size:>14,}  {path.name}"


def _cautions(folder: Path) -> Iterable[str]:
    if not (folder / CARD).is_file():
        yield f"there is no {CARD}: the model has no card"
    elif is_ours(folder / CARD):
        yield f"the card in {CARD} is as fgc wrote it, and names no licence"
    if any(folder.glob("*.py")):
        yield "the folder has code: who loads the model says trust_remote_code=True (without: `fgc convert` first)"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m fgc_runtime.hub", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--revision", metavar="BRANCH")
    parser.add_argument("--message", metavar="TEXT")
    parser.add_argument("--dry-run", action="store_true")
    return parser


def run(words: list[str] | None = None) -> int:
    """`main`, without a traceback where it is interrupted, or nobody reads on."""
    return run_command(lambda: main(words))


if __name__ == "__main__":
    sys.exit(run())

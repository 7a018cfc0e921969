"""Makes the folder of a run: used by no other run, and the same for all processes."""

import os
from pathlib import Path

from fgc_runtime import runs
from fgc_runtime.distributed import World
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.setup.ranks import require_one_folder


def common_folder(args: TrainingArguments, world: World) -> Path:
    """Makes the run's folder. Raises OSError or ValueError, on all processes."""
    folder: Path | None = None
    problem: Exception | None = None
    if world.is_main:
        try:
            folder = folder_of_run(args)
        except OSError as error:
            name = "output_dir" if args.logging_dir is None else "logging_dir"
            problem = OSError(f"{name} ({str(getattr(args, name))!r}) cannot be written: {error}")
        except ValueError as error:
            problem = error
    folder, problem = world.from_main((folder, problem))
    if problem is not None:
        raise problem
    assert folder is not None, "there is a folder or a problem"
    require_one_folder(world, folder)
    return folder


def folder_of_run(args: TrainingArguments) -> Path:
    """Makes a folder that no other run writes to. Raises OSError, or ValueError if `logging_dir` is in use."""
    if args.logging_dir is None:
        return runs.claim(Path(args.output_dir), args.run_name)
    folder = Path(args.logging_dir)
    living = runs.living_run(folder)
    if living is not None and living.pid != os.getpid():
        raise ValueError(f"logging_dir ({str(folder)!r}) is in use by {living}: name another folder, or none")
    folder.mkdir(parents=True, exist_ok=True)
    return folder

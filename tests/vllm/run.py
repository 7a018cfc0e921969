"""Run generated models in vLLM and compare every greedy token with transformers' generate: `make test-vllm`.

One case is `fgc serve --engine vllm`, whose answers over HTTP are compared, whole and as streams.

    python tests/vllm/run.py --vllm-python .venv-vllm/bin/python [--only llama] [--quick]

Takes about ten minutes on two quiet cores. Prints a line per case; exits with 1 if a token differs or a case fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent
_ARCHITECTURES = ("llama", "mistral", "qwen3", "gemma", "gpt2", "mixtral")
_PARALLEL = {
    "llama": (("--tensor-parallel", "2"), ("--pipeline-parallel", "2")),
    "gemma": (("--pipeline-parallel", "2"),),  # embedding and head are one weight, on the first and the last stage
    "gpt2": (("--pipeline-parallel", "2"),),  # so is this, and positions that only the first stage may add
}
_SERVED = "llama"
_TIMEOUT_S = 1800


def main() -> int:
    """1 if a case fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vllm-python", required=True)
    parser.add_argument("--only", choices=_ARCHITECTURES, action="append")
    parser.add_argument("--quick", action="store_true", help="no parallel cases")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="fgc-vllm-") as name:
        for architecture in options.only or _ARCHITECTURES:
            folder = _saved(Path(name), architecture)
            cases: list[tuple[str, ...]] = [()]
            if not options.quick:
                cases += _PARALLEL.get(architecture, ())
            failed += sum(_differs(options.vllm_python, folder, architecture, case) for case in cases)
            if architecture == _SERVED:
                command = [sys.executable, str(_HERE / "serve.py"), str(folder), "--vllm-python", options.vllm_python]
                failed += _reported(f"{architecture} fgc serve", "answers", command)
    return int(failed > 0)


def _saved(root: Path, architecture: str) -> Path:
    """The folder of a random model, generated from its template, with the expected tokens."""
    build, folder, package = root / f"build_{architecture}", root / architecture, f"vllm_{architecture}"
    fgc = [sys.executable, "-m", "fgc", "build", str(_HERE / "models.yaml"), "--target", "model", "-o", str(build)]
    subprocess.run([*fgc, "-D", f"architecture={architecture}"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, str(_HERE / "save_reference.py"), str(build), package, str(folder)], check=True)
    return folder


def _differs(python: str, folder: Path, architecture: str, case: tuple[str, ...]) -> bool:
    name = f"{architecture} {' '.join(case).removeprefix('--') or 'one process'}"
    return _reported(name, "tokens", [python, str(_HERE / "generate.py"), str(folder), *case])


def _reported(name: str, unit: str, command: list[str]) -> bool:
    """Whether a case failed, after its line."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"equal"')]
    if not lines:
        print(f"{name:<32} failed\n{done.stderr[-3000:]}", flush=True)
        return True
    found = json.loads(lines[0])
    print(f"{name:<32} {found['equal']} of {found[unit]} {unit} equal, {found['seconds']} s", flush=True)
    return done.returncode != 0


if __name__ == "__main__":
    raise SystemExit(main())

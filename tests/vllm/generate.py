"""In vLLM's environment: generate greedily with a model folder and compare with what transformers generated.

    python tests/vllm/generate.py FOLDER [--tensor-parallel 2] [--pipeline-parallel 2]

Prints one line of JSON.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ |= {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


def main() -> int:
    """1 if a token differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tensor-parallel", type=int, default=1)
    parser.add_argument("--pipeline-parallel", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    expected = json.loads((options.folder / "expected.json").read_text(encoding="utf-8"))
    found = _generated(options, expected["prompts"], len(expected["tokens"][0]))
    both = list(zip(found, expected["tokens"], strict=True))
    equal = sum(ours == theirs for pair in both for ours, theirs in zip(*pair, strict=True))
    count = sum(map(len, expected["tokens"]))
    seconds = round(time.perf_counter() - start, 1)
    print(json.dumps({"equal": equal, "tokens": count, "seconds": seconds}), flush=True)
    return 0 if equal == count else 1


def _generated(options: argparse.Namespace, prompts: list[list[int]], count: int) -> list[list[int]]:
    processes = options.tensor_parallel * options.pipeline_parallel
    if processes == 1:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in this process: 20 s instead of 50
    else:
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "|".join(map(str, range(processes)))
    from vllm import LLM, SamplingParams

    settings = {"enforce_eager": True}
    if options.pipeline_parallel > 1:
        # eager, vLLM 0.32 on a CPU fails here: it allocates the tensors between stages only while warming up
        settings = {"compilation_config": {"mode": 2, "backend": "eager"}}
    model = LLM(
        model=str(options.folder),
        trust_remote_code=True,
        skip_tokenizer_init=True,
        dtype="float32",
        max_model_len=256,
        tensor_parallel_size=options.tensor_parallel,
        pipeline_parallel_size=options.pipeline_parallel,
        distributed_executor_backend="mp" if processes > 1 else None,
        **settings,
    )
    sampling = SamplingParams(temperature=0, max_tokens=count, min_tokens=count, ignore_eos=True, detokenize=False)
    outputs = model.generate([{"prompt_token_ids": prompt} for prompt in prompts], sampling, use_tqdm=False)
    return [list(output.outputs[0].token_ids) for output in outputs]


if __name__ == "__main__":
    raise SystemExit(main())

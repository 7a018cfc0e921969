"""What a step frees on a CPU serves the next step; the kernel is not asked for it again."""

import os
import platform
import subprocess
import sys

import pytest
from fgc_runtime.trainers.setup import host_memory

PROGRAM = """
import resource, runpy, sys
size, module = 40 * 2**20, runpy.run_path(sys.argv[1])  # above what glibc ever takes from its heap by itself
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        b"x" * size
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before, is_kept = faults(), module["keep_freed_memory"]()
b"x" * size
print(is_kept, before, faults())
"""


def run(**environment: str) -> list[str]:
    words = [sys.executable, "-c", PROGRAM, str(host_memory.__file__)]
    environment = {**{name: value for name, value in os.environ.items() if "MALLOC" not in name}, **environment}
    return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory by rules of their own")
def test_large_blocks_are_taken_from_the_kernel_once() -> None:
    is_kept, before, after = run()
    assert is_kept == "True"
    assert int(after) * 20 < int(before)


def test_what_the_user_has_set_stays() -> None:
    assert run(MALLOC_TRIM_THRESHOLD_="1000000")[0] == "False"

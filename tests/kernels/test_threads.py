"""The native threads: torch's OpenMP where the build and the process have it, else our own."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A GNU OpenMP that counts how often it is asked, as torch's would be found.
OPENMP = """
#include <thread>
#include <vector>
int calls = 0;
extern "C" int calls_of_openmp() { return calls; }
extern "C" void GOMP_parallel(void (*work)(void*), void* data, unsigned threads, unsigned) {
  ++calls;
  std::vector<std::thread> team;
  for (unsigned i = 1; i < threads; ++i) team.emplace_back(work, data);
  work(data);
  for (auto& thread : team) thread.join();
}
"""
KERNEL = """
#include "tondo/core/threads.h"
#include <vector>
extern "C" long long sum_of_squares(int n, int threads) {
  tondo::set_num_threads(threads);
  std::vector<long long> found(n);
  tondo::parallel_for(n, [&](int64_t i) { found[i] = i * i; });
  long long sum = 0;
  for (const long long one : found) sum += one;
  return sum;
}
"""
# A process of its own, since what is once found stays found; torch, which brings one, is not in it.
RUN = """
import ctypes, sys
openmp = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
kernel = ctypes.CDLL(sys.argv[2])
kernel.sum_of_squares.restype = ctypes.c_longlong
for threads in (1, 2, 3, 2):
    assert kernel.sum_of_squares(1000, threads) == sum(i * i for i in range(1000))
print(openmp.calls_of_openmp())
"""


def build(out: Path, text: str, *more: str) -> Path:
    out.with_suffix(".cpp").write_text(text)
    compiler = shutil.which(os.environ.get("CXX", "c++")) or "g++"
    command = [compiler, "-std=c++17", "-O1", "-shared", "-fPIC", "-pthread", *more]
    subprocess.run([*command, out.with_suffix(".cpp"), "-o", out, "-ldl"], check=True)
    return out


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch's threads: Linux alone")
@pytest.mark.parametrize(("switch", "calls"), [(["-DTONDO_TORCH_THREADS"], 4), ([], 0)])
def test_the_build_switch(tmp_path: Path, switch: list[str], calls: int) -> None:
    core = ROOT / "cpp" / "src" / "core"
    sources = [str(core / "threads.cpp"), str(core / "torch_threads.cpp")]
    folders = [f"-I{ROOT / 'cpp' / 'include'}", f"-I{ROOT / 'cpp' / 'src'}"]
    openmp = build(tmp_path / "openmp.so", OPENMP)
    kernel = build(tmp_path / "kernel.so", KERNEL, *switch, *folders, *sources)
    command = [sys.executable, "-c", RUN, openmp, kernel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == calls


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch's threads: Linux alone")
def test_the_process_has_what_is_looked_for() -> None:
    """Importing torch brings a GNU OpenMP that all may use (this test imports it, with tondo)."""
    import torch

    assert torch.backends.openmp.is_available()
    assert hasattr(ctypes.CDLL(None), "GOMP_parallel")

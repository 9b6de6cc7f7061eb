"""What all benchmarks share: the machine, its ceilings, timing, result files."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tondo import _native
from tondo.io.atomic import write_json
from tondo.kernels.threads import torch_threads
from tondo.splats import step as step_

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Machine:
    """Where and on what a result was measured."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    torch: str
    simd: str
    commit: str
    load: float


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do at `threads`, measured on the spot.

    Attributes:
        copy_gb_s: bytes read and written by a copy of 256 MB, in GB/s.
        multiply_add_g_s: float32 multiply-adds a second, in thousands of millions.
        multiply_add_by: what measured them.
    """

    threads: int
    copy_gb_s: float
    multiply_add_g_s: float
    multiply_add_by: str


def machine() -> Machine:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        memory_gib=round(pages / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch.__version__,
        simd=_native.simd(),
        commit=_commit(),
        load=round(os.getloadavg()[0], 2),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


def _commit() -> str:
    """The commit's short name, with a plus sign where source files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "cpp")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def ceilings(threads: int) -> Ceilings:
    source = torch.ones(64 * 2**20)
    target = torch.empty_like(source)
    with torch_threads(threads):
        copy = best_seconds(lambda: target.copy_(source), 0.6)
        by, rate = "matrix product of torch", _matmul_rate()
    if hasattr(_native, "fma_peak"):
        by, rate = "tondo._native.fma_peak", float(_native.fma_peak(threads))
    return Ceilings(threads, 2 * source.nbytes / copy / 1e9, rate / 1e9, by)


def _matmul_rate() -> float:
    a = torch.rand(1024, 1024)
    return 1024**3 / best_seconds(lambda: a @ a, 0.6)


@contextmanager
def all_threads(count: int) -> Iterator[None]:
    """Native code and torch on `count` threads."""
    before = _native.num_threads()
    _native.set_num_threads(count)
    try:
        with torch_threads(count):
            yield
    finally:
        _native.set_num_threads(before)


def best_seconds(work: Callable[[], object], budget: float, least: int = 3) -> float:
    """The shortest of the runs that fit into `budget` seconds, at least `least`; one to warm up."""
    return min(seconds_of(work, budget, least))


def seconds_of(work: Callable[[], object], budget: float, least: int = 3) -> list[float]:
    work()
    spent: list[float] = []
    while len(spent) < least or sum(spent) < budget:
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return spent


class TimedNative:
    """Stands in for `tondo._native` in the training step and times each function it calls."""

    def __init__(self) -> None:
        self.calls: dict[str, list[float]] = {}

    def __getattr__(self, name: str) -> Any:
        function = getattr(_native, name)
        if isinstance(function, type) or not callable(function):
            return function

        def timed(*args: Any) -> Any:
            start = time.perf_counter()
            result = function(*args)
            self.calls.setdefault(name, []).append(time.perf_counter() - start)
            return result

        return timed

    def per_run(self, name: str, calls_a_run: int = 1) -> list[float]:
        """Seconds a run, where a run calls the function so many times."""
        spent = self.calls[name]
        return [sum(spent[i : i + calls_a_run]) for i in range(0, len(spent), calls_a_run)]


@contextmanager
def timed_steps() -> Iterator[TimedNative]:
    """The native calls of `tondo.splats.step` are timed meanwhile."""
    timed = TimedNative()
    step_._native = timed  # type: ignore[assignment]
    try:
        yield timed
    finally:
        step_._native = _native


def milliseconds(spent: list[float]) -> dict[str, float]:
    """Shortest and median."""
    return {
        "min": round(min(spent) * 1e3, 3),
        "median": round(statistics.median(spent) * 1e3, 3),
    }


def shared_data() -> Path:
    """The folder of photos, as in the tests."""
    data = Path(os.environ.get("TONDO_SHARED") or ROOT.parent / "shared") / "data"
    if not data.is_dir():
        raise SystemExit(f"needs the photos in {data}: set TONDO_SHARED to the folder above data")
    return data


def save(name: str, results: dict[str, Any]) -> None:
    path = RESULTS / f"{name}.json"
    write_json(path, {"machine": asdict(machine()), **results})
    print(path.relative_to(ROOT))


def load(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None

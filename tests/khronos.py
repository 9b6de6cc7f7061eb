"""What the Khronos validator says of a GLB file."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "gltf-validator@2.0.0-dev.3.10"
VALIDATE = """
const validator = require('gltf-validator'), fs = require('fs');
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then(report => console.log(JSON.stringify(report)));
"""


def khronos_report(path: Path) -> dict[str, Any]:
    """The validator's report; skips where there is none."""
    folder = _folder()
    if isinstance(folder, str):
        pytest.skip(folder)
    command = ["node", "-e", VALIDATE, str(path.resolve())]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@functools.cache
def _folder() -> Path | str:
    """The folder that has the validator's npm package, or why there is none."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "needs node and npm for the Khronos glTF validator"
    folder = ROOT / ".cache" / "gltf-validator"
    if not (folder / "node_modules" / "gltf-validator").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", PACKAGE]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            return "npm could not fetch gltf-validator in two minutes"
        if done.returncode:
            return f"npm could not fetch gltf-validator: {done.stderr.decode()[-200:]}"
    return folder

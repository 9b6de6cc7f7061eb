"""What `import tondo` shows, and that it is light."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tondo

FUNCTIONS = [
    "load_photos",
    "prepare",
    "reconstruct",
    "render",
    "evaluate",
    "to_mesh",
    "export",
    "train_generator",
    "generate",
    "lift",
    "directions",
    "explain",
    "convert",
    "load_scene",
    "rasterize",
    "render_rays",
]


def test_it_shows_the_functions_with_their_options_and_results() -> None:
    assert set(FUNCTIONS) <= set(dir(tondo)) == set(tondo.__all__)
    for name in set(dir(tondo)) - {"__version__"}:
        found = getattr(tondo, name)
        assert inspect.isclass(found) if name[0].isupper() else inspect.isfunction(found), name
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        tondo.fly  # noqa: B018


def test_what_type_checkers_see_is_what_there_is() -> None:
    tree = ast.parse(Path(inspect.getfile(tondo)).read_text(encoding="utf-8"))
    seen = {
        alias.asname or alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == tondo._PLACES


def test_importing_it_is_light() -> None:
    code = (
        "import sys, tondo; dir(tondo); print(*{'torch', 'numpy', 'pycolmap'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", [name for name in dir(tondo) if name.endswith("Options")])
def test_options_need_no_torch(name: str) -> None:
    code = f"import sys, tondo; tondo.{name}(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    fields = getattr(tondo, name).__dataclass_fields__
    entries = inspect.getdoc(getattr(tondo, name)) or ""
    assert all(f"\n    {field}: " in entries for field in fields), "a field without an entry"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_paths_are_text_too(name: str) -> None:
    """Whatever is a path may be given as text."""
    for parameter in inspect.signature(getattr(tondo, name)).parameters.values():
        assert "Path" not in str(parameter.annotation).replace("str | Path", "")

"""The layers of docs/architecture.md: a room imports only from rooms to its left."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tondo"


def page() -> str:
    return (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def layers() -> list[set[str]]:
    """The rooms of each layer, from the one line of the page that holds them."""
    text = page()
    found = re.search(r"`(errors, [^`]*←[^`]*)`", text)
    assert found, "docs/architecture.md has no line of layers"
    return [{room.strip() for room in part.split(",")} for part in found[1].split("←")]


def room_of(module: str) -> str:
    """The room of a dotted module name below tondo, with its sub-room where it is in one
    ("io.posed" of tondo.io.posed.photos); "" for the package itself."""
    parts = module.split(".")[1:]
    if len(parts) > 1 and (SOURCE / parts[0] / parts[1]).is_dir():
        return ".".join(parts[:2])
    return parts[0] if parts else ""


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Dotted names below tondo that a module imports, wherever in the file; relative ones too.

    What is taken from the package itself (`import tondo; tondo.x`) counts as the import tondo.x.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "tondo":
                yield f"tondo.{node.attr}"
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("tondo."))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            if base == "tondo":
                yield from (f"tondo.{a.name}" for a in node.names)
            elif base.split(".")[0] == "tondo":
                yield from (f"{base}.{a.name}" for a in node.names)


def forbidden(room: str, imported: str, order: list[set[str]]) -> bool:
    """Whether `room` may not import from the room `imported`."""
    if imported in (room, "_native", "_version"):
        return False
    rank = {name: i for i, layer in enumerate(order) for name in layer}
    # The package itself (its __init__) is the public API: nothing inside may go through it.
    return imported not in rank or rank[imported] >= rank[room]


def modules() -> list[Path]:
    apart = (SOURCE / "__init__.py", SOURCE / "_version.py")
    return sorted(p for p in SOURCE.rglob("*.py") if p not in apart)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_only_from_the_left(path: Path) -> None:
    order = layers()
    relative = path.relative_to(SOURCE)
    room = room_of(".".join(("tondo", *relative.with_suffix("").parts)))
    assert any(room in layer for layer in order), f"{room} is not in docs/architecture.md"
    package = ".".join(("tondo", *relative.parent.parts))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = [name for name in imports(tree, package) if forbidden(room, room_of(name), order)]
    assert not wrong, f"{relative} ({room}) imports {wrong}"


def rooms() -> list[str]:
    """Every folder with code, as `room_of` names it, and every module outside of one."""
    return sorted(
        {
            room_of(".".join(("tondo", *p.relative_to(SOURCE).with_suffix("").parts)))
            for p in modules()
        }
    )


def test_the_layers_are_the_rooms_that_there_are() -> None:
    assert sorted(room for layer in layers() for room in layer) == rooms()


def test_every_room_stands_once_in_the_drawing() -> None:
    drawing = page().split("```")[1]
    assert sorted(re.findall(r"\[([\w.]+)\]", drawing)) == rooms()


def test_every_room_stands_once_in_the_table() -> None:
    table = page().split("| room | what is there |")[1].split("\n\n")[0]
    heads = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert sorted(room for head in heads for room in re.findall(r"`([^`]+)`", head)) == rooms()


def test_no_room_is_crowded() -> None:
    for folder in (SOURCE, ROOT / "cpp"):
        for room in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
            count = sum(p.suffix in (".py", ".pyi", ".cpp", ".h") for p in room.iterdir())
            assert count <= 15, f"{room.relative_to(ROOT)} holds {count} files of code"


def test_tests_mirror_the_rooms() -> None:
    """A folder of tests is that of a room, or holds what goes through many rooms."""
    tests = ROOT / "tests"
    rooms = {p.parent.relative_to(SOURCE) for p in modules() if p.name != "__init__.py"}
    tested = {p.parent.relative_to(tests) for p in tests.rglob("test_*.py")}
    through_many = {Path(name) for name in ("inputs", "gpu", "examples", "golden", "formats")}
    assert tested - rooms <= through_many
    # Tests of the verbs are those of the command line; of gan, those of its sub-rooms.
    assert rooms - tested <= {Path("cli/verbs"), Path("gan")}


def test_only_kernels_and_the_loop_touch_native_code() -> None:
    """Native functions are called from where their torch twin or their one user is."""
    users = set()
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(name.startswith("tondo._native") for name in imports(tree, "tondo")):
            users.add(path.relative_to(SOURCE).parts[0])
    assert users <= {"kernels", "splats", "cli"}, users


@pytest.mark.parametrize(
    ("room", "code", "wrong"),
    [
        ("data", "from tondo.io.models.ply import read_points", True),
        ("data", "import tondo.cli.main", True),
        ("mesh", "from tondo import rasterize", True),
        ("mesh", "import tondo\ntondo.rasterize()", True),
        ("mesh", "from tondo._version import __version__", False),
        ("mesh", "import tondo\nprint(tondo.__version__)", True),
        ("io", "def f():\n    from tondo.runs import events", True),
        ("sfm", "from ..demo import shape", False),
        ("sfm", "from ..splats import step", True),
        ("sfm.motion", "from tondo.sfm.prepare import prepare", True),
        ("sfm", "from tondo.sfm.motion.place import place", False),
        ("io.models", "from tondo.io.posed import photos", True),
        ("gan.networks", "from tondo.gan.training.state import TrainState", True),
        ("kernels.splats", "from tondo.kernels.fields.rays import render_rays", True),
        ("splats", "from tondo.mesh.extract import extract_mesh", False),
        ("io", "from tondo.data.cameras import Camera\nimport numpy", False),
        ("kernels", "from tondo import _native", False),
        ("splats", "from . import step", False),
    ],
)
def test_the_check_itself(room: str, code: str, wrong: bool) -> None:
    found = [
        forbidden(room, room_of(n), layers()) for n in imports(ast.parse(code), f"tondo.{room}")
    ]
    assert any(found) is wrong


def test_cpp_knows_neither_python_nor_torch() -> None:
    sources = [*(ROOT / "cpp" / "src").rglob("*.cpp"), *(ROOT / "cpp" / "include").rglob("*.h")]
    assert len(sources) > 5
    for path in sources:
        included = re.findall(r'#include\s+[<"]([^>"]+)', path.read_text(encoding="utf-8"))
        outside = [i for i in included if re.match(r"(Python|torch|ATen|nanobind|pybind)", i)]
        assert not outside, f"{path.name} includes {outside}"

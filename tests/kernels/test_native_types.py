"""src/tondo/_native.pyi says what the native module says of itself."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

from tondo import _native

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "src" / "tondo" / "_native.pyi"


def writer() -> ModuleType:
    path = ROOT / "cpp" / "bindings" / "write_stub.py"
    spec = importlib.util.spec_from_file_location("write_stub", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_types_are_those_of_the_module() -> None:
    written, wanted = STUB.read_text(encoding="utf-8"), writer().stub_of(_native)
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(wanted)), "run `make stub`"


def test_every_function_is_typed_without_any_and_takes_few_arguments() -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert len(functions) > 40
    for function in functions:
        assert function.returns is not None, function.name
        assert len(function.args.args) <= 8, function.name
        for argument in function.args.args:
            assert argument.annotation is not None or argument.arg == "self", function.name
    assert "Any" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}

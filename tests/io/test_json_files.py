"""JSON from outside: what is read, and what the refusals say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tondo.errors import InputError
from tondo.io.json_files import read_json


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_encoding_of_unicode(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "Köln"}'.encode(encoding))
    assert read_json(path, 100) == {"name": "Köln"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "a.json is not valid JSON"),
        ("[" * 100_000, "a.json is not valid JSON"),
        ("[1]", "a.json is no thing: expected an object, got list"),
        (" " * 300_000, "a.json has 0 MiB: no thing is that large"),
    ],
)
def test_refusals(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_json(path, 200_000, "thing")
    with pytest.raises(InputError, match=r"there is no file .*b\.json"):
        read_json(tmp_path / "b.json", 200_000)

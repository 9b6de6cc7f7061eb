"""No two pictures share a file, and none leaves its folder."""

from __future__ import annotations

from tondo.io.file_names import unique_names


def test_the_last_part_where_it_is_enough() -> None:
    assert unique_names(["images/0001", "images/0012", "a.b"]) == ["0001", "0012", "a.b"]


def test_folders_are_added_only_where_names_clash() -> None:
    names = unique_names(["train/r_0", "test/r_0", "test/r_8", "x/1/a", "x/2/a", "y/2/a"])
    assert names == ["train_r_0", "test_r_0", "r_8", "1_a", "x_2_a", "y_2_a"]


def test_the_same_names_are_numbered() -> None:
    assert unique_names(["a", "a", "a-2", "a"]) == ["a", "a-2", "a-2-2", "a-3"]


def test_hostile_names_stay_in_the_folder() -> None:
    names = unique_names(["../../etc/passwd", "..", "", "C:\\x\\y", "a\n\x00b", "/abs"])
    assert names == ["passwd", "picture", "picture-2", "C__x_y", "a__b", "abs"]
    assert len(unique_names(["x" * 5000])[0]) == 150

"""What option records refuse, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tondo.api.options import GenerateOptions
from tondo.errors import OptionError
from tondo.scenes.options import ReconstructOptions


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ReconstructOptions(max_size="big"), "`max_size` must be a number, got 'big'"),
        (lambda: ReconstructOptions(seed=-1), f"`seed` must be from 0 to {2**63 - 1}, got -1"),
        (lambda: ReconstructOptions(holdout=1), "`holdout` must be 0 (none) or at least 2, got 1"),
        (
            lambda: ReconstructOptions(background="puce"),
            "`background` must be white, black, random",
        ),
        (lambda: ReconstructOptions(splats={}), "`splats` must be a SplatOptions, got {}"),
        (lambda: GenerateOptions(format="glb"), "`format` must be a tuple such as ('glb',), got"),
    ],
)
def test_a_wrong_value_is_told_when_the_record_is_made(
    make: Callable[[], Any], sentence: str
) -> None:
    with pytest.raises(OptionError) as refused:
        make()
    assert str(refused.value).startswith(sentence)

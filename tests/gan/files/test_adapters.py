"""Low-rank adapters: small, silent at first, and of one base only."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tiny_generators import CARD, tiny_generator
from tondo.errors import InputError, OptionError
from tondo.gan.files.adapters import (
    FORMAT,
    AdapterCard,
    adapter_parameters,
    adapter_tensors,
    add_adapters,
    merged,
    read_adapter_card,
    save_adapter,
    with_adapter,
)
from tondo.gan.files.generator_file import Trained, fingerprint, save_generator
from tondo.gan.files.open_generator import open_generator
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.shape import BASIS_MAPS, SMALL, SMALL_ROWS, GeneratorShape
from tondo.geometry.pose_prior import NAMED

WIDE = GeneratorShape(z=8, w=16, rows=16, columns=32, channels=(64, 64, 48), size=32)


def trained_share(generator: Generator) -> float:
    """Parameters of the adapters relative to those of the generator without them."""
    own = sum(p.numel() for p in adapter_parameters(generator))
    return own / (sum(p.numel() for p in generator.parameters()) - own)


def wide(seed: int = 0) -> Generator:
    return tiny_generator(seed, WIDE)


def adapted(base: Generator, rank: int = 1) -> Generator:
    """`base` with adapters that have been trained a little, on nothing in particular."""
    generator = copy.deepcopy(base)
    parameters = add_adapters(generator, rank)
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in parameters:
            parameter += 0.1 * torch.randn(parameter.shape, generator=rng)
    return generator


def grid(generator: Generator) -> torch.Tensor:
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(3))
    return generator(generator.styles(z)).grid


# as training makes them (`inputs.train_inputs`)
LARGE = GeneratorShape(basis_maps=BASIS_MAPS, has_inner_layer=True, light="camera")
SMALLEST = replace(LARGE, rows=SMALL_ROWS, columns=2 * SMALL_ROWS, size=SMALL)
TRAINED = {
    "default": GeneratorShape(),
    "32 pixels": SMALLEST,
    "64 pixels": LARGE,
    "64 pixels, axial": replace(LARGE, axial=True),
    "64 pixels, scene": replace(LARGE, background="scene", mirror=True),
    "field": GeneratorShape(representation="field"),
}


@pytest.mark.parametrize("shape", TRAINED.values(), ids=TRAINED.keys())
def test_every_generator_takes_rank_8_with_less_than_3_percent(shape: GeneratorShape) -> None:
    generator = Generator(shape)
    add_adapters(generator, 8)
    own = sum(p.numel() for p in adapter_parameters(generator))
    assert 0.005 < own / (sum(p.numel() for p in generator.parameters()) - own) < 0.03
    trained = [p for p in generator.parameters() if p.requires_grad]
    assert {id(p) for p in trained} == {id(p) for p in adapter_parameters(generator)}


def test_nothing_changes_before_training_and_only_adapters_learn() -> None:
    base, generator = wide(), wide()
    parameters = add_adapters(generator, 1)
    assert torch.allclose(grid(generator), grid(base), atol=1e-6)
    before = {name: p.clone() for name, p in generator.named_parameters()}
    optimiser = torch.optim.Adam(parameters, 0.01)
    for _ in range(2):
        optimiser.zero_grad()
        grid(generator).square().sum().backward()
        optimiser.step()
    changed = {n for n, p in generator.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert all(name.split(".")[-1] in ("up", "down", "taps") for name in changed)
    assert not torch.allclose(grid(generator), grid(base), atol=1e-4)


def test_file_and_merging(tmp_path: Path) -> None:
    base = wide()
    generator = adapted(base)
    generator.update_mixture(
        torch.randn(600, 8, generator=torch.Generator().manual_seed(1)) * 0.1 + 0.5
    )
    path = tmp_path / "adapter.safetensors"
    card = AdapterCard("runs/base", fingerprint(base), 1, 2.5, "pears")
    save_adapter(path, generator, card)
    assert read_adapter_card(path) == card
    whole = sum(p.numel() for p in base.parameters()) * 4
    assert path.stat().st_size < 0.1 * whole
    again = with_adapter(base, path)
    assert torch.equal(grid(again), grid(generator))
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(2))
    assert torch.equal(again.styles(z, 0.7), generator.styles(z, 0.7)), "z lie as they learned to"
    assert not torch.allclose(again.styles(z), base.styles(z), atol=0.1)
    plain = merged(again)
    assert torch.allclose(grid(plain), grid(generator), atol=1e-5)
    assert plain.state_dict().keys() == base.state_dict().keys()
    assert not torch.allclose(grid(base), grid(generator), atol=1e-3)


def test_an_adapter_of_another_generator_is_refused(tmp_path: Path) -> None:
    base = wide()
    path = tmp_path / "a.safetensors"
    save_adapter(path, adapted(base), AdapterCard("one", fingerprint(base), 1))
    with pytest.raises(InputError, match="another generator"):
        with_adapter(wide(1), path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="cut off or damaged"):
        with_adapter(base, path)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("rank", "Infinity"),
        ("rank", "NaN"),
        ("rank", "9" * 400),
        ("rank", '"one"'),
        ("kimg", "9" * 400),
        ("kimg", "NaN"),
    ],
)
def test_an_adapter_with_a_damaged_description(tmp_path: Path, entry: str, value: str) -> None:
    base, path = wide(), tmp_path / "a.safetensors"
    card = asdict(AdapterCard("one", fingerprint(base), 1)) | {entry: "VALUE"}
    about = json.dumps({"format": FORMAT, "card": card}).replace('"VALUE"', value)
    tensors = {name: t.contiguous() for name, t in adapter_tensors(adapted(base)).items()}
    path.write_bytes(safetensors.torch.save(tensors, metadata={"tondo_adapter": about}))
    with pytest.raises(InputError, match=r"description is damaged .* copy it again"):
        read_adapter_card(path)
    with pytest.raises(InputError, match="description is damaged"):
        with_adapter(base, path)


@pytest.mark.parametrize(("rank", "expected"), [(0, "1..64"), (65, "1..64"), (40, "largest rank")])
def test_ranks_that_cannot_be(rank: int, expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        add_adapters(Generator(GeneratorShape()), rank)


def test_an_adapter_is_opened_with_its_base(tmp_path: Path) -> None:
    base = Trained(wide(), NAMED["turntable"], CARD)
    save_generator(tmp_path / "base.safetensors", base)
    loaded = open_generator(tmp_path / "base.safetensors").trained.generator
    generator = adapted(loaded)
    path = tmp_path / "adapter.safetensors"
    card = AdapterCard(str(tmp_path / "base.safetensors"), fingerprint(loaded), 1)
    save_adapter(path, generator, card)
    opened = open_generator(path).trained
    assert torch.allclose(grid(opened.generator), grid(generator), atol=1e-5)
    assert opened.priors == NAMED["turntable"]
    assert opened.card.licence == ""
    (tmp_path / "base.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be opened"):
        open_generator(path)

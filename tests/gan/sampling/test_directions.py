"""Directions of w: found where they were put, and moves along them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tiny_generators import SHAPE, tiny_generator
from tondo.errors import InputError, OptionError
from tondo.gan.networks.feature_maps import RATE
from tondo.gan.networks.layers import StyledConv
from tondo.gan.sampling.directions import (
    Move,
    find_directions,
    into_maps,
    load_directions,
    moved,
    parse_move,
    sample_w,
    save_directions,
)


def test_closed_form_finds_the_direction_that_the_weights_amplify() -> None:
    generator = tiny_generator()
    wanted = torch.nn.functional.normalize(torch.randn(12), dim=0)
    with torch.no_grad():
        for module in generator.modules():
            if isinstance(module, StyledConv):
                along = module.style.weight @ wanted
                module.style.weight += 20 * torch.outer(along, wanted)
        body = torch.nn.functional.normalize(torch.randn(12), dim=0)
        along = generator.skin_network.from_w.weight @ body
        generator.skin_network.from_w.weight += 20 * torch.outer(along, body)
    found = torch.nn.functional.normalize(find_directions(generator, 3).closed, dim=1)
    assert abs(float(found[0] @ body)) > 0.99  # two by the first map
    assert abs(float(found[2] @ wanted)) > 0.99  # one by the layers


def test_the_body_follows_mixtures_of_traits_too() -> None:
    generator = tiny_generator(shape=replace(SHAPE, basis_maps=5))
    rng = torch.Generator().manual_seed(0)
    wanted = torch.nn.functional.normalize(torch.randn(12, generator=rng), dim=0)
    own = generator.skin_network.maps
    mixture, basis_maps = own.basis_weights[1], own.basis[1]
    with torch.no_grad():
        mixture.weight += 20 * torch.outer(torch.randn(5, generator=rng), wanted)
        basis_maps *= 1e-3
    found = torch.nn.functional.normalize(find_directions(generator, 1).closed, dim=1)
    assert abs(float(found[0] @ wanted)) < 0.9  # maps that are nearly nothing make nothing
    with torch.no_grad():
        basis_maps *= 1e4
    found = torch.nn.functional.normalize(find_directions(generator, 1).closed, dim=1)
    assert abs(float(found[0] @ wanted)) > 0.99
    maps = torch.cat([x.flatten(1) for x in own.basis[:1]], dim=1)
    first = RATE / 5**0.5 * maps.T.double() @ own.basis_weights[0].weight.double()
    gram = into_maps(generator)[:-5].T @ into_maps(generator)[:-5]
    from_w = generator.skin_network.from_w.weight.double()
    torch.testing.assert_close(gram, from_w.T @ from_w + first.T @ first)


def test_principal_components_are_those_of_w() -> None:
    generator = tiny_generator()
    found = find_directions(generator, 12).principal
    w = sample_w(generator, 4096)
    along = (w - w.mean(0)) @ torch.nn.functional.normalize(found, dim=1).double().T
    spread = along.std(dim=0)
    assert torch.allclose(spread.float(), found.norm(dim=1), rtol=1e-3)
    assert bool((spread.diff() <= 1e-9).all())
    covariance = along.T @ along / len(w)
    assert float((covariance - torch.diag(covariance.diag())).abs().max()) < 1e-6


def test_the_same_each_time_and_through_a_file(tmp_path: Path) -> None:
    generator, path = tiny_generator(), tmp_path / "directions.safetensors"
    found = find_directions(generator, 4)
    save_directions(path, found, generator)
    again = load_directions(path, tiny_generator())
    assert torch.equal(again.closed, found.closed)
    assert torch.equal(again.principal, found.principal)
    with pytest.raises(InputError, match="another generator"):
        load_directions(path, tiny_generator(1))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cut off or damaged"):
        load_directions(path, generator)


def test_moves_keep_the_length_and_go_the_right_way() -> None:
    generator = tiny_generator()
    directions = find_directions(generator, 4)
    w = sample_w(generator, 5).float()
    there = moved(w, (Move(1, 2.0, principal=True),), directions)
    assert torch.allclose(there.norm(dim=1), w.norm(dim=1), rtol=1e-5)
    assert bool((((there - w) @ directions.principal[1]) > 0).all())
    assert torch.equal(moved(w, (), directions), w)
    with pytest.raises(OptionError, match="p0 to p3"):
        moved(w, (Move(4, 1.0, principal=True),), directions)


def test_what_is_typed() -> None:
    assert parse_move("3=+2.0") == Move(3, 2.0)
    assert parse_move("p0=-1.5") == Move(0, -1.5, principal=True)
    for text in ("3", "3=", "x=1", "3=nan", "3=1e5", "3=99", "-1=2", ""):
        with pytest.raises(OptionError, match="`move="):
            parse_move(text)

"""Low-rank adapters: a trained generator learns a new kind while its own weights stay.

Hu et al. 2021 (LoRA, equation 3): W = W_0 + B A with B zero at first. For a convolution the
product mixes channels and is the same for every tap of the kernel but for one factor a tap, so that
a 3x3 kernel costs hardly more than a 1x1 one.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.utils.parametrize as parametrize
from torch import Tensor, nn

from tondo.errors import InputError, OptionError
from tondo.gan.files.generator_file import (
    AGAIN,
    check_tensors,
    checked,
    fingerprint,
    holds,
    read_tensors,
    write_tensors,
)
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.layers import Linear, StyledConv
from tondo.runs.migration import migrated

FORMAT = "tondo adapter 3"
WHERE = (
    "mixture_weights",
    "mixture_means",
    "mixture_roots",
    "w_mean",
)  # of a generator: how z and styles lie
MOST_SHARE = 0.03  # of G's parameters: an adapter has less, as docs/gan.md promises
MOST_RANK = 64  # bounds the size of files from outside


@dataclass(frozen=True)
class AdapterCard:
    """What an adapter is of and for.

    Attributes:
        base: the generator that it changes, as it was given: a run, a file or a name.
        base_fingerprint: `directions.fingerprint` of that generator.
        rank: of the products. kimg: thousands of pictures shown. source: of the pictures.
    """

    base: str
    base_fingerprint: str
    rank: int
    kimg: float = 0.0
    source: str = ""


class LowRank(nn.Module):
    """weight -> weight + B A (times one factor for each tap of a kernel)."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = weight.shape[:2]
        # the size of a first step in proportion to the weight's own
        size = float(weight.detach().square().mean().sqrt()) if not weight.is_meta else 1.0
        self.up = nn.Parameter(torch.zeros(outputs, rank))
        self.down = nn.Parameter(torch.randn(rank, inputs) * size / math.sqrt(rank))
        taps = weight[0, 0].numel()
        self.taps = nn.Parameter(torch.ones(taps)) if weight.dim() == 4 else None

    def forward(self, weight: Tensor) -> Tensor:
        product = self.up @ self.down
        if self.taps is None:
            return weight + product
        kernel = self.taps.view(1, 1, *weight.shape[2:])
        return weight + product[:, :, None, None] * kernel


def add_adapters(generator: Generator, rank: int) -> list[nn.Parameter]:
    """Freeze `generator` and give its styled convolutions adapters; returns what is to be trained.

    Kernels get one of `rank` each, the matrices that modulate them one of half of it. The
    generator's pictures stay as they are until the first step of training.

    Raises:
        OptionError: a rank that is not within 1..64, or with which 3 % of the parameters or more
            would be trained; says the largest rank that can be had.
    """
    if not 1 <= rank <= MOST_RANK:
        raise OptionError(f"`lora={rank}`: the rank must lie within 1..{MOST_RANK}")
    whole = sum(p.numel() for p in generator.parameters())
    cost = _cost(generator, rank)
    if cost >= MOST_SHARE * whole:
        fitting = [r for r in range(1, rank) if _cost(generator, r) < MOST_SHARE * whole]
        advice = f"the largest rank is {fitting[-1]}" if fitting else "it is too small to adapt"
        raise OptionError(
            f"`lora={rank}` would train {100 * cost / whole:.1f} % of this "
            f"generator's parameters, and an adapter is less than 3 %: {advice}"
        )
    generator.requires_grad_(False)
    for module, own_rank in _places(generator, rank):
        parametrize.register_parametrization(module, "weight", LowRank(module.weight, own_rank))
    return adapter_parameters(generator)


def adapter_parameters(generator: nn.Module) -> list[nn.Parameter]:
    """The parameters of all adapters, in a fixed order."""
    return [
        parameter
        for module in generator.modules()
        if isinstance(module, LowRank)
        for parameter in module.parameters()
    ]


def merged(generator: Generator) -> Generator:
    """A plain generator, adapters added into its weights; frozen. The given one stays as it is."""
    weights = {k: v for k, v in generator.state_dict().items() if ".parametrizations." not in k}
    for name, module in generator.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            weights[f"{name}.weight"] = module.weight.detach()
    # Not a copy with its parametrizations removed: torch would take them from the original's class.
    plain = Generator(generator.shape)
    plain.load_state_dict(weights)
    return plain.eval().requires_grad_(False)


def adapter_tensors(generator: nn.Module) -> dict[str, Tensor]:
    """The adapters' parameters by their places, and where in the base's space the new kind lies;
    detached."""
    there = {name: x for name, x in generator.state_dict().items() if name in WHERE}
    return there | {
        f"{name}.{part}": parameter.detach()
        for name, module in generator.named_modules()
        if isinstance(module, LowRank)
        for part, parameter in module.named_parameters()
    }


def save_adapter(path: Path, generator: Generator, card: AdapterCard) -> None:
    """Write the adapters of `generator` and how its z lie, and nothing of its own weights.

    Raises:
        ValueError: there are none, or values that are not finite.
        OutputError: the file cannot be written.
    """
    tensors = {name: t.cpu().contiguous() for name, t in adapter_tensors(generator).items()}
    if not adapter_parameters(generator):
        raise ValueError("this generator has no adapters")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError("an adapter holds values that are not finite: not saved")
    about = {"format": FORMAT, "card": asdict(card)}
    write_tensors(path, "tondo_adapter", about, tensors)


def is_adapter(path: Path) -> bool:
    """Whether a file says that it is an adapter of Tondo."""
    return holds(path, "tondo_adapter")


def read_adapter_card(path: Path) -> AdapterCard:
    """What an adapter's file says that it is of. Raises InputError."""
    return _card_of(path, read_tensors(path, "tondo_adapter", "an adapter of Tondo")[0])


def with_adapter(base: Generator, path: Path) -> Generator:
    """`base` with the adapters of a file: new, and not yet merged; `base` stays as it is.

    Raises:
        InputError: missing, damaged, or of another generator than `base`.
    """
    about, tensors = migrated(
        "adapter", *read_tensors(path, "tondo_adapter", "an adapter of Tondo")
    )
    card = _card_of(path, about)
    if card.base_fingerprint != fingerprint(base):
        raise InputError(
            f"{path} is an adapter of another generator ({card.base}), not of this one: give the "
            "one that it was trained from, or train the adapter again"
        )
    generator = copy.deepcopy(base)
    try:
        add_adapters(generator, card.rank)
    except OptionError as error:
        raise InputError(f"{path}: {error}") from None
    wanted = adapter_tensors(generator)
    check_tensors(path, tensors, wanted)
    for name, tensor in wanted.items():
        tensor.copy_(tensors[name])
    return generator


def _card_of(path: Path, about: dict[str, object]) -> AdapterCard:
    card = about.get("card")
    if about.get("format") != FORMAT or not isinstance(card, dict):
        raise InputError(
            f"{path} is an adapter of another version ({about.get('format')!r:.60}); this program "
            f"reads {FORMAT!r}: train again, or use the version of Tondo that wrote it"
        )
    try:
        return AdapterCard(**checked(AdapterCard, card, longest=10_000))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: the adapter's description is damaged ({error}): {AGAIN}"
        ) from None


def _places(generator: Generator, rank: int) -> list[tuple[StyledConv | Linear, int]]:
    """The modules that get an adapter, and its rank: styled convolutions, and what makes their
    styles, which with the same rank would cost twice as much as the convolutions."""
    found: list[tuple[StyledConv | Linear, int]] = []
    for module in generator.modules():
        if isinstance(module, StyledConv):
            found += [(module, rank), (module.style, max(1, rank // 2))]
    return found


def _cost(generator: Generator, rank: int) -> int:
    total = 0
    for module, own_rank in _places(generator, rank):
        outputs, inputs, *kernel = module.weight.shape
        total += own_rank * (outputs + inputs) + (math.prod(kernel) if kernel else 0)
    return total

"""Adversarial losses: what D and G minimise, of D's logits for photographs and for pictures by G.

Each function takes logits of any equal shapes and returns a scalar. `real` and `fake` are D's
logits before a sigmoid: D(x) = sigmoid(logit).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.errors import OptionError


class Loss(NamedTuple):
    """What D and what G minimises, each from (real, fake); `compares`: whether G's loss looks at
    `real`, too."""

    of_d: Callable[[Tensor, Tensor], Tensor]
    of_g: Callable[[Tensor, Tensor], Tensor]
    compares: bool = False


def cross_entropy_d(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))); Goodfellow et al. 2014, equation 1, as D's loss."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_g(real: Tensor, fake: Tensor) -> Tensor:
    """E log(1 - D(G(z))); Goodfellow et al. 2014, equation 1. Flat where D is sure of itself."""
    return -F.softplus(fake).mean()


def nonsaturating_g(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(G(z)); Goodfellow et al. 2014, section 3."""
    return F.softplus(-fake).mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))); Lim and Ye 2017, equation 5."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_g(real: Tensor, fake: Tensor) -> Tensor:
    """-E D(G(z)); Lim and Ye 2017, equation 6."""
    return -fake.mean()


def relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """E f(D(G(z)) - D(x)), f(t) = log(1 + e^t); Huang et al. 2024 (R3GAN), equation 1."""
    return F.softplus(fake - real).mean()


def relativistic_g(real: Tensor, fake: Tensor) -> Tensor:
    """E f(D(x) - D(G(z))), f(t) = log(1 + e^t); Huang et al. 2024 (R3GAN), equation 1."""
    return F.softplus(real - fake).mean()


def gradient_penalty(logits: Tensor, looks: list[Tensor]) -> Tensor:
    """E |grad D|^2 / 2 on what D looks at: on photographs R1 (Mescheder et al. 2018, equation 9),
    on pictures by G R2 (the same, equation 10), which the relativistic loss needs beside R1 (Huang
    et al. 2024, section 2.2).

    The squared gradient is averaged over the tensors of `looks` and divided by their numbers of
    channels, so that one weight suits both kinds of D.

    Args:
        logits: [B, L], computed from `looks`, which must require gradients.
    """
    grads = torch.autograd.grad(logits.sum(dim=1).sum() / logits.shape[1], looks, create_graph=True)
    sizes = [grad.square().sum(dim=(1, 2, 3)).mean() / grad.shape[1] for grad in grads]
    return 0.5 * torch.stack(sizes).mean()


def loss_named(name: str) -> Loss:
    """The pair of losses called `name`.

    Names: minimax, minimax-log (G takes the -log D(G(z)) form; the same as nonsaturating),
    nonsaturating, hinge, relativistic.

    Raises:
        OptionError: an unknown name.
    """
    known = {
        "minimax": Loss(cross_entropy_d, minimax_g),
        "minimax-log": Loss(cross_entropy_d, nonsaturating_g),
        "nonsaturating": Loss(cross_entropy_d, nonsaturating_g),
        "hinge": Loss(hinge_d, hinge_g),
        "relativistic": Loss(relativistic_d, relativistic_g, compares=True),
    }
    if name not in known:
        raise OptionError(f"`loss={name}`: choose one of {', '.join(known)}")
    return known[name]

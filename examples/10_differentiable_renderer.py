"""The differentiable renderer alone: splats are fitted to one picture by an optimiser of torch.

    python examples/10_differentiable_renderer.py [STEPS]

`tondo.rasterize` is defined as `gsplat.rasterization` is (docs/conventions.md).
"""

from __future__ import annotations

import sys

import torch

import tondo

SIDE, COUNT = 64, 400


def target() -> torch.Tensor:
    """[S, S, 3] a red ring on white."""
    x, y = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="xy")
    ring = ((x.square() + y.square()).sqrt() - 0.6).abs() < 0.15
    return torch.where(ring[..., None], torch.tensor([0.9, 0.1, 0.1]), torch.ones(3))


def main(steps: int = 200) -> float:
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(COUNT, 3, generator=generator) * 2 - 1
    means[:, 2] = 3.0  # before the camera, which looks along +z
    learned = {
        "means": means,
        "quats": torch.tensor([1.0, 0, 0, 0]).repeat(COUNT, 1),
        "log_scales": torch.full((COUNT, 3), -2.5),
        "opacity_logits": torch.zeros(COUNT),
        "colors": torch.rand(COUNT, 3, generator=generator),
    }
    parameters = [tensor.requires_grad_() for tensor in learned.values()]
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    K = torch.tensor([[[90.0, 0, SIDE / 2], [0, 90.0, SIDE / 2], [0, 0, 1]]])
    wanted, loss = target(), torch.tensor(0.0)
    for step in range(steps):
        picture, alphas, _ = tondo.rasterize(
            learned["means"],
            learned["quats"],
            learned["log_scales"].exp(),
            learned["opacity_logits"].sigmoid(),
            learned["colors"],
            torch.eye(4)[None],
            K,
            SIDE,
            SIDE,
            backgrounds=torch.ones(1, 3),
        )
        loss = (picture[0] - wanted).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 0:
            print(f"step {step}: {loss.item():.4f}, {alphas.mean().item():.0%} covered")
    print(f"in the end: {loss.item():.4f}")
    return loss.item()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))

"""What one of torchrun's processes can do on its GPU; prints nothing where all is well."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn

from tondo.runs import distributed


def main() -> None:
    distributed.start()
    count = dist.get_world_size()
    for device in ("cpu", "cuda"):
        here = torch.full((3, 5), 2.0, device=device)
        dist.all_reduce(here)
        assert torch.equal(here.cpu(), torch.full((3, 5), 2.0 * count)), device
    told = torch.tensor([distributed.rank() + 0.5], dtype=torch.float64)
    dist.broadcast(told, 0)
    assert told.item() == 0.5
    dist.barrier()
    # a single process would have nothing to do
    distributed.processes = lambda: 2 * count  # type: ignore[assignment]
    for device in ("cpu", "cuda"):
        weights = nn.Parameter(torch.ones(4, device=device))
        (weights * torch.arange(4.0, device=device)).sum().backward()
        distributed.average_gradients([weights])
        assert weights.grad is not None
        assert torch.equal(weights.grad.cpu(), torch.arange(4.0) / 2), device
        assert float(distributed.mean_of(torch.ones((), device=device))) == 0.5
    distributed.stop()


if __name__ == "__main__":
    main()

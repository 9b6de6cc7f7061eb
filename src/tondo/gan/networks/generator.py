"""The generator: a latent code to splats on a deformed sphere, or to a field."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tondo.gan.networks.background import Background
from tondo.gan.networks.latent_mixture import (
    LatentMixture,
    fit_mixture,
    sample_latents,
    standard_mixture,
)
from tondo.gan.networks.layers import Mapping
from tondo.gan.networks.matcap import Matcap
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.networks.skin import Skins, field_surface, sphere_map
from tondo.gan.networks.skin_network import SkinNetwork
from tondo.gan.networks.tri_planes import TriPlanes


class Generator(nn.Module):
    """z -> w -> `Skins` or `Planes`, and a background and shading where the shape asks for them.

    Exactly one of `skin_network` and `planes` is there.
    """

    template: Tensor
    w_mean: Tensor
    mixture_weights: Tensor
    mixture_means: Tensor
    mixture_roots: Tensor

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape = shape
        splats = shape.representation == "splats"
        self.mapping = Mapping(shape.z, shape.w)
        self.skin_network = SkinNetwork(shape) if splats else None
        self.planes = None if splats else TriPlanes(shape.w, shape.rows // 2, shape.channels)
        self.background = Background(shape) if shape.background == "scene" else None
        self.matcap = Matcap(shape.w) if shape.light == "camera" else None
        self.register_buffer("template", sphere_map(shape.rows, shape.columns))
        self.register_buffer("w_mean", torch.zeros(shape.w))
        # Of photographs' codes (`tondo.gan.training.autoencoder`): random z are drawn as these lie
        for name, value in standard_mixture(shape.mixture_components, shape.z)._asdict().items():
            self.register_buffer(f"mixture_{name}", value)

    def styles(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """Normally distributed z [B, Z] to w [B, W]; truncation 0..1 pulls towards the mean
        style, above 1 (to 1.5) away from it."""
        w = self.mapping(sample_latents(z, self.mixture))
        return w if truncation == 1.0 else self.w_mean.lerp(w, truncation)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.w_mean.device

    @property
    def mixture(self) -> LatentMixture:
        """How codes lie, and so z are drawn."""
        return LatentMixture(self.mixture_weights, self.mixture_means, self.mixture_roots)

    def update_mixture(self, codes: Tensor) -> None:
        """Let random z lie as the codes [N, Z] of photographs, on any device, do."""
        found = fit_mixture(codes, LatentMixture(*(x.to(codes.device) for x in self.mixture)))
        for kept, fresh in zip(self.mixture, found, strict=True):
            kept.copy_(fresh)

    def forward(self, w: Tensor) -> Skins:
        """w [B, W] to the splats of B objects; those of a field cover its surface as seen from
        the outside along rays to the origin."""
        if self.skin_network is None:
            assert self.planes is not None
            return field_surface(self.planes(w), self.template)
        skins = self.skin_network(w, self.template)
        return skins if self.matcap is None else skins._replace(matcap=self.matcap(w))

    def render_background(self, w: Tensor, size: int) -> Tensor:
        """[B, H, W, 3] sRGB: what is behind the objects."""
        if self.background is None:
            return torch.ones(len(w), size, size, 3, device=w.device)
        return self.background(w, size)

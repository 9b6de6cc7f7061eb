"""Settings of a generator's training. Numbers were chosen by measurement: docs/notes/gan.md."""

from __future__ import annotations

from dataclasses import dataclass

RATE_LEAST = 0.02


@dataclass(frozen=True)
class GanConfig:
    """How a generator is trained.

    Attributes:
        batch: pictures a step. accumulate: parts in which it is computed, for less memory.
        lr_g, lr_d, lr_codes: Adam's rates of G, D and photographs' codes; betas (beta1, beta2).
        fall: share of a training, at its end, over which all rates fall evenly to nearly nothing:
            the networks circle around each other, and settle as their steps get small.
        loss: "hinge" | "nonsaturating" | "minimax" | "minimax-log" | "relativistic".
        discriminator: "projected" | "plain".
        r1_gamma: weight of R1 (Mescheder et al. 2018, equation 9), on what `judge` of D sees; None:
            200 on features, 1 on pictures (`penalty`).
        lazy: steps between regularisations of D (Karras et al. 2020, section 3.1).
        ema_kpictures: half-life of the averaged generator, thousands of pictures.
        augment: "adaptive" | "off", or a fixed strength is `augment_p`.
        augment_target: mean sign of D's logits on photographs above which augmentation grows (where
            the loss compares, of what they are above those on generated pictures); at 0.6 D calls
            80 % real.
        blur: standard deviation, as a share of the pictures' side, of the Gaussian through which D
            sees all pictures at first; it falls to none within `blur_kpictures` thousand.
        rebuild: weight of rebuilding photographs (`tondo.gan.training.autoencoder`): it holds the
            body, and teaches what D alone is slow to.
        rebuild_features: weight of differences that the frozen CNN sees, beside those of pixels.
        nat: what a nat of a photograph's code costs, in differences of its rebuilt picture.
        first_kpictures: thousands of them that G rebuilds before the game begins.
        smooth, folds, rings, wells, opaque, centre, relief: weights of the geometry's regularisers;
            folds and relief are of splats alone, rings and wells of radial ones, opaque is of
            fields alone.
        diversity_floor: mean pairwise distance of a fixed batch under which it has collapsed.
    """

    batch: int = 24
    accumulate: int = 1
    lr_g: float = 2e-3
    lr_d: float = 5e-4
    lr_codes: float = 5e-4
    beta1: float = 0.0
    beta2: float = 0.99
    fall: float = 0.5
    loss: str = "hinge"
    discriminator: str = "projected"
    r1_gamma: float | None = None
    lazy: int = 8
    ema_kpictures: float = 5.0
    augment: str = "adaptive"
    augment_p: float = 0.0
    augment_target: float = 0.6
    blur: float = 0.03
    blur_kpictures: float = 20.0
    rebuild: float = 100.0
    rebuild_features: float = 3.0
    nat: float = 3e-4
    first_kpictures: float = 16.0
    smooth: float = 1.0
    folds: float = 30.0
    rings: float = 1000.0
    wells: float = 30.0
    opaque: float = 0.1
    centre: float = 0.1
    relief: float = 300.0
    diversity_floor: float = 0.02

    @property
    def penalty(self) -> float:
        """The weight of R1 that is used."""
        if self.r1_gamma is not None:
            return self.r1_gamma
        return 200.0 if self.discriminator == "projected" else 1.0

    def rate_after(self, share: float) -> float:
        """By what all rates are multiplied after `share` 0..1 of the training."""
        left = (1 - share) / self.fall if self.fall > 0 else 1.0
        return min(1.0, max(RATE_LEAST, left))

    def blur_after(self, pictures: int) -> float:
        """The share of the pictures' side by which D's view is blurred after so many pictures."""
        return self.blur * max(0.0, 1 - pictures / 1000 / self.blur_kpictures)

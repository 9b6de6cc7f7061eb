"""Options of a generator's training.

"Notes" is docs/notes/gan.md, which measured the number or looked at what came of it; "chosen" is a
usual value that was not measured alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tondo.errors import OptionError, check_choices, check_number


@dataclass(frozen=True)
class Adversarial:
    """Adversarial training.

    Attributes:
        loss: adversarial loss.
        discriminator: on features of a frozen network (projected, Sauer et al. 2021), or on
            pictures (plain).
        features: frozen network of the projected discriminator: efficientnet-lite0, resnet50 or
            densenet121 (fetched from PyTorch's hub), resnet50:FILE or densenet121:FILE.
        r1_gamma: weight of the gradient penalty R1 (Mescheder et al. 2018, equation 9) on what the
            trained part of the discriminator sees; None: 200 on features, 1 on pictures.
        r1_every: steps between gradient penalties (Karras et al. 2020, section 3.1: 16; chosen).
        lr_g: learning rate of the generator.
        lr_d: learning rate of the discriminator.
        beta1: Adam's memory of gradients, none (Karras et al. 2020).
        beta2: Adam's memory of squared gradients (Karras et al. 2020).
        max_grad_norm: gradients are clipped at this norm, which is active for the generator in
            nearly every step (notes).
        min_diversity: mean pairwise distance of fixed samples under which the generator has
            collapsed; chosen, trainings that went well have several times as much.
    """

    # Losses are compared in the notes; hinge is of Lim and Ye 2017.
    loss: Literal["hinge", "nonsaturating", "minimax", "minimax-log", "relativistic"] = "hinge"
    discriminator: Literal["projected", "plain"] = "projected"
    features: str = "efficientnet-lite0"
    r1_gamma: float | None = None  # the defaults: notes
    r1_every: int = 8
    lr_g: float = 2e-3  # Karras et al. 2020, StyleGAN2
    lr_d: float = 5e-4  # 0.001 was worse (notes)
    beta1: float = 0.0
    beta2: float = 0.99
    max_grad_norm: float = 50.0
    min_diversity: float = 0.02

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("lr_g", self.lr_g, 0, 1, above=True)
        check_number("lr_d", self.lr_d, 0, 1, above=True)
        check_number("r1_gamma", self.r1_gamma, 0, 1e4)

    @property
    def r1_weight(self) -> float:
        """The weight of R1 that is used."""
        if self.r1_gamma is not None:
            return self.r1_gamma
        return 200.0 if self.discriminator == "projected" else 1.0


@dataclass(frozen=True)
class Autoencoder:
    """Photographs that G reconstructs (`tondo.gan.training.autoencoder`); notes.

    Attributes:
        reconstruction_weight: of the reconstruction beside the adversarial loss; 0 for none.
        pretrain_weight: of the reconstruction in pretraining, beside the geometry's losses.
        feature_weight: of differences of the frozen network's features, beside those of pixels.
        kl_weight: of the KL divergence of a photograph's code, per nat.
        lr_encoder: learning rate of the photo encoder; at 0.002 codes jump.
        pretrain_kimg: thousands of photographs that G reconstructs before adversarial training.
        pretrain_beta1: Adam's memory of gradients in pretraining (its usual value).
    """

    reconstruction_weight: float = 100.0
    pretrain_weight: float = 60.0
    feature_weight: float = 3.0
    kl_weight: float = 3e-4
    lr_encoder: float = 5e-4
    pretrain_kimg: float = 16.0
    pretrain_beta1: float = 0.9


@dataclass(frozen=True)
class Geometry:
    """Weights of the losses on geometry (`tondo.gan.objects.geometry_loss`); notes.

    Attributes:
        laplacian: of the Laplacian of skins, and of the roughness of fields' planes.
        normal_orientation: of normals that turn away from outwards; splats alone.
        radial_slope: of rings steeper than 45 degrees; axial generators alone.
        overhang: of surface that looks sideways or inwards; axial generators alone.
        haze: of what is neither solid nor empty; fields alone.
        centring: of objects' distance from the origin, and of what leaves the unit sphere.
        depth_prior: of displacements along the line of sight; splats with cameras on one side.
    """

    laplacian: float = 1.0
    normal_orientation: float = 30.0
    radial_slope: float = 1000.0
    overhang: float = 30.0
    haze: float = 0.1
    centring: float = 0.1
    depth_prior: float = 300.0


@dataclass(frozen=True)
class Schedule:
    """How long, how much at a time, how fast.

    Attributes:
        batch: pictures a step; a multiple of 4.
        accumulate: compute a batch in so many parts: less memory for a large batch.
        decay: share of the training, at its end, over which all learning rates fall evenly; the
            two networks circle around each other, and settle as their steps get small (notes).
        min_rate: what the learning rates fall to, relative; chosen.
        ema_kimg: half-life of the averaged generator in thousands of pictures (Karras et al. 2018:
            10; chosen for short trainings).
    """

    batch: int = 24  # notes
    accumulate: int = 1
    decay: float = 0.5
    min_rate: float = 0.02
    ema_kimg: float = 5.0

    def __post_init__(self) -> None:
        check_number("accumulate", self.accumulate, 1)

    def rate_after(self, share: float) -> float:
        """By what all learning rates are multiplied after `share` 0..1 of the training."""
        left = (1 - share) / self.decay if self.decay > 0 else 1.0
        return min(1.0, max(self.min_rate, left))


@dataclass(frozen=True)
class Augmentation:
    """What is done to all pictures before the discriminator sees them.

    Attributes:
        augment: adaptive augmentation of what the discriminator sees (Karras et al. 2020, Training
            GANs with Limited Data, section 3); off: none.
        strength: probability 0..1 of each change at the beginning; with `augment` off, throughout.
        target: mean sign of the logits of photographs above which augmentation grows (where the
            loss compares, of their difference from those of generated pictures); as in the paper.
        blur: standard deviation of the Gaussian at the beginning, as a share of the pictures' side
            (Karras et al. 2021, appendix F: 10 pixels of 256; notes).
        blur_kimg: thousands of pictures within which it falls to none (notes).
    """

    augment: Literal["adaptive", "off"] = "adaptive"
    strength: float = 0.0
    target: float = 0.6
    blur: float = 0.03
    blur_kimg: float = 20.0

    def __post_init__(self) -> None:
        check_choices(self)

    def blur_after(self, pictures: int) -> float:
        """The blur, a share of the pictures' side, after so many pictures."""
        return self.blur * max(0.0, 1 - pictures / 1000 / self.blur_kimg)


@dataclass(frozen=True)
class TrainOptions:
    """What `train_generator` can be told.

    Attributes:
        size: image size in pixels: 32, 64, 128 or 256.
        minutes: training time in minutes; None: 60, if `kimg` is not given.
        kimg: train on so many thousand pictures; None: as long as `minutes` says.
        classes: only pictures of this class (a sub-folder, or an attribute of CelebA); may be
            repeated.
        poses: prior of the camera poses: frontal, turntable, tumble, upper-hemisphere, sphere,
            several joined by "+", or ranges such as azimuth=-40:40,elevation=-10:20,fov=25,
            distance=5; None: the pictures' own cameras; without, turntable for a plain background
            and frontal for scenery; of a trained generator as in it.
        background: what is behind the object: white, or a picture made from the style (scene);
            None: as the pictures have it.
        light: camera: shading that stays with the camera while the object turns; none: shading is
            part of the colours; None: none where the pictures' own cameras are used, and for
            fields, else camera.
        representation: what the generator makes: splats, or a radiance field on three planes.
        mirror: left and right of the things are alike, as of animals and cars that look along +z.
        axial: the things look much alike from all round, as apples and vases: what all have in
            common is then the same all round, and mistaken cameras do not carve creases into it.
        base: start from a trained generator: a run, a file or a name.
        lora: train adapters of this rank alone, of the generator of `base`; 0 trains everything.
        seed: random seed.
        device: where to train; auto: on the GPU, where PyTorch finds one for each process.
        licence: licence of the pictures, kept in the generator.
        checkpoint_seconds: training time between checkpoints, in seconds.
        adversarial: adversarial training.
        autoencoder: photographs that G reconstructs.
        geometry: weights of the losses on geometry.
        schedule: batches and learning rates.
        augmentation: what the discriminator sees.
    """

    size: int = 64
    minutes: float | None = None
    kimg: float | None = None
    classes: tuple[str, ...] = ()
    poses: str | None = None
    background: Literal["white", "scene"] | None = None
    light: Literal["camera", "none"] | None = None
    representation: Literal["splats", "field"] = "splats"
    mirror: bool = False
    axial: bool = False
    base: str | None = None
    lora: int = 0
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    licence: str = ""
    checkpoint_seconds: float = 30.0
    adversarial: Adversarial = field(default_factory=Adversarial)
    autoencoder: Autoencoder = field(default_factory=Autoencoder)
    geometry: Geometry = field(default_factory=Geometry)
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        check_choices(self)
        if self.minutes is not None and self.kimg is not None:
            raise OptionError("give `minutes` or `kimg`, not both")
        check_number("minutes", self.minutes, 0, 1e6, above=True)
        check_number("kimg", self.kimg, 0, 1e7, above=True)
        check_number("checkpoint_seconds", self.checkpoint_seconds, 0)
        check_number("seed", self.seed, 0, 2**63 - 1)

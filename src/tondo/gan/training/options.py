"""What a training can be told, checked, and as it stands in a run's config."""

from __future__ import annotations

from tondo.errors import OptionError
from tondo.gan.options import TrainOptions
from tondo.geometry.pose_prior import parse_poses
from tondo.runs.device import training_device

# What belongs to the machine and not to the run
OF_NOW = ("checkpoint_seconds", "device")
SIZES = (32, 64, 128, 256)  # pixels of a picture's side: powers of two, that the networks halve


def check_options(options: TrainOptions) -> None:
    """Raises OptionError for values that cannot be used."""
    if options.size not in SIZES:
        raise OptionError(f"`size` must be 32, 64, 128 or 256, got {options.size}")
    if options.schedule.batch < 4 or options.schedule.batch % 4:
        raise OptionError(
            "`batch` must be a multiple of 4 (the discriminator compares pictures in fours), "
            f"got {options.schedule.batch}"
        )
    if options.light == "camera" and options.representation == "field":
        raise OptionError(
            "`light=camera` needs the normals of splats: not for `representation=field`"
        )
    for name, given in (("`mirror`", options.mirror), ("`axial`", options.axial)):
        if given and options.representation == "field":
            raise OptionError(f"{name} needs splats: not for `representation=field`")
    if options.base is not None:
        _check_shape_untouched(options)
    if options.lora and options.base is None:
        raise OptionError("`lora` adapts a trained generator: say which with `base`")
    if options.poses is not None:
        parse_poses(options.poses)
    training_device(options.device)


def _check_shape_untouched(options: TrainOptions) -> None:
    """A generator that is adapted stays what it is."""
    wanted = {
        "`mirror`": options.mirror,
        "`axial`": options.axial,
        "`light`": options.light is not None,
        "`representation`": options.representation != TrainOptions.representation,
    }
    for name, given in wanted.items():
        if given:
            raise OptionError(
                f"{name} belongs to a new generator: with `base` it is as in {options.base}, "
                "leave it out"
            )

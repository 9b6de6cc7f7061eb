"""A reconstruction of any kind as the run loop drives it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tondo.data.photos import PhotoSet
from tondo.evaluation.evaluate import composited
from tondo.nerf import method as nerf
from tondo.runs.checkpoints import Checkpoint
from tondo.runs.events import Evaluation, GanStep, Step
from tondo.runs.method import Fitting, Method, Report, Request
from tondo.runs.run_directory import RunDirectory
from tondo.scenes.evaluate import evaluate_scene
from tondo.scenes.options import ReconstructOptions
from tondo.scenes.render import render
from tondo.splats import method as splats

PSNRS = 10  # steps over whose mean the PSNR of an event is; chosen


class Reconstruction(Method):
    """A scene being fitted to photos.

    Attributes:
        fitting: splats or a field.
        photos: the training photos, and those that are held out.
        begun: what is known of its beginning, for the checkpoints and `metrics.json`.
    """

    def __init__(self, fitting: Fitting[Any], photos: PhotoSet, begun: dict[str, Any]) -> None:
        super().__init__(fitting.counted, fitting.horizon)
        self.fitting, self.photos, self.begun = fitting, photos, begun
        self._psnr: deque[float] = deque(maxlen=PSNRS)

    def advance(self, fraction: float) -> Report:
        report = self.fitting.advance(fraction)
        if isinstance(report.event, Step) and report.event.psnr is not None:
            self._psnr.append(report.event.psnr)
        return report

    def event(self, event: Step | GanStep) -> Step | GanStep:
        if isinstance(event, Step) and self._psnr:
            event = replace(event, psnr=sum(self._psnr) / len(self._psnr))
        return super().event(event)

    def tensors(self) -> dict[str, Tensor]:
        return self.fitting.tensors()

    def facts(self) -> dict[str, Any]:
        return self.begun

    def summary(self) -> dict[str, Any]:
        return {**self.fitting.summary(), **self.begun}

    def pictures(self, run: RunDirectory) -> dict[str, Tensor]:
        scene, found = self.fitting.scene(), {}
        for kind, some in (("train", self.photos.train), ("test", self.photos.test)):
            if some:
                view = render(scene, some[0].camera, exposed=True)
                both = torch.cat([composited(some[0], scene.background), view.color], dim=1)
                found[f"{kind}/photo and render"] = both
        return found

    def measure(self) -> Evaluation | None:
        if not self.photos.test:
            return None
        mean = evaluate_scene(self.fitting.scene(), self.photos.test, None).mean
        count, seconds = len(self.photos.test), self.clock.seconds()
        return Evaluation(self.step, mean.psnr, mean.ssim, mean.perceptual, count, seconds)


def begin(request: Request, options: ReconstructOptions) -> tuple[Reconstruction, str]:
    """A reconstruction at step 0, and a sentence about where it begins."""
    if options.method == "nerf":
        field = nerf.begin(request, options.nerf)
        space = field.scene().field.space
        kind = "without bounds, drawn in beyond" if space.contracted else "within"
        where = f"a field {kind} {space.radius:.3g} units around what the cameras look at"
        return Reconstruction(field, request.photos, {}), where
    fitting, start = splats.begin(request, options.splats)
    count = len(start.cloud.points)
    begun = {"points": count, "points_from": start.origin}
    where = f"starting from {count} points, {start.origin}"
    return Reconstruction(fitting, request.photos, begun), where


def resume(request: Request, options: ReconstructOptions, found: Checkpoint) -> Reconstruction:
    """The reconstruction that a checkpoint is of.

    Raises:
        InputError: it is of another number of photos.
        KeyError, ValueError, TypeError, RuntimeError: it is of something else.
    """
    fitting: Fitting[Any]
    if options.method == "nerf":
        fitting = nerf.resume(request, options.nerf, found.tensors)
    else:
        fitting = splats.resume(request, options.splats, found.tensors)
    return Reconstruction(fitting, request.photos, dict(found.state))

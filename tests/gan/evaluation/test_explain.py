"""Heat maps of what D found real or fake."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tiny_generators import tiny_run
from tondo.cli.main import main
from tondo.gan.evaluation.explain import colored, heat_maps, load_discriminator
from tondo.gan.networks.discriminator import PlainDiscriminator, ProjectedDiscriminator
from tondo.io.images import image_size
from tondo.runs.checkpoints import save_checkpoint
from tondo.runs.run_directory import RunDirectory


class Patches:
    """An extractor of one map: 4x4 means of brightness, in three channels."""

    def features(self, images: Tensor) -> list[Tensor]:
        return [torch.nn.functional.avg_pool2d(images, 4)]


def test_a_projected_d_points_at_the_place_it_judges_by() -> None:
    """A D whose only head gives brightness as its logit: dark corners are fake."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        D = ProjectedDiscriminator(Patches(), 16, with_cameras=False)

    class Bright(torch.nn.Module):
        def forward(self, x: Tensor, pose: Tensor | None) -> Tensor:
            return x.mean(dim=1).flatten(1)

    D.heads = torch.nn.ModuleList([Bright()])
    D.mix[0].weight.fill_(1 / 3)
    D.smooth[0].weight.zero_()
    D.smooth[0].weight[:, :, 1, 1] = 1 / 64
    images = torch.ones(4, 3, 16, 16)
    images[0, :, :8, 8:] = 0.0
    heat = heat_maps(D, images, None)
    assert heat.shape == (4, 16, 16)
    assert float(heat[0, 0, 15]) == pytest.approx(0.0, abs=1e-5)
    assert float(heat[0, 15, 0]) == pytest.approx(1.0, abs=1e-5)
    assert float((heat[1:] - 1).abs().max()) < 1e-5


def test_a_plain_d_points_at_what_changes_its_mind() -> None:
    """A D that counts edges in the left half only: blurring matters nowhere else."""

    class Edges(PlainDiscriminator):
        def logits(self, features: list[Tensor], angles: Tensor | None) -> Tensor:
            x = features[0]
            return (x[..., 1:16] - x[..., :15]).abs().sum(dim=(1, 2, 3))[:, None]

    D = Edges(32, with_cameras=False)
    rng = torch.Generator().manual_seed(0)
    heat = heat_maps(D, torch.rand(4, 3, 32, 32, generator=rng), None)
    assert float(heat[:, :, :10].min()) > 0.1
    assert float(heat[:, :, 24:].abs().max()) < 1e-4


def test_what_looks_real_is_blue_and_what_looks_generated_is_red() -> None:
    heat = torch.ones(1, 6, 8)
    heat[:, :, 4:] = -1.0
    images = torch.rand(1, 6, 8, 3, generator=torch.Generator().manual_seed(0))
    red, _, blue = colored(heat, images).unbind(3)
    assert bool((blue[:, :, :4] > 1.5 * red[:, :, :4]).all())
    assert bool((red[:, :, 4:] > 1.5 * blue[:, :, 4:]).all())


@pytest.mark.parametrize("kind", ["projected", "plain"])
def test_explain_as_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    run = RunDirectory(tiny_run(tmp_path / "run"))
    from tondo.features.choose import load_extractor

    D = (
        PlainDiscriminator(32, with_cameras=True, with_alpha=True, width=8)
        if kind == "plain"
        else ProjectedDiscriminator(load_extractor(), 32, with_cameras=True, with_alpha=True)
    )
    tensors = {f"D.{name}": tensor for name, tensor in D.state_dict().items()}
    save_checkpoint(run, 3, tensors, {})
    loaded = load_discriminator(run, 32)
    assert type(loaded) is type(D)
    assert loaded.with_alpha
    assert main(["explain", str(run.path), "--seed", "7"]) == 0
    assert "mean logit of seed 7" in capsys.readouterr().out
    sheet = run.renders_dir / "explain" / "seed0007.png"
    assert image_size(sheet) == (8 * 32 * 4, 2 * 32 * 4)


def test_without_a_discriminator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path / "run")
    assert main(["explain", str(run)]) == 2
    assert "no checkpoint" in capsys.readouterr().err
    assert main(["explain", str(run / "generator.safetensors")]) == 2
    assert "give the run's folder" in capsys.readouterr().err
    save_checkpoint(RunDirectory(run), 1, {"G.skin_network.start": torch.zeros(3)}, {})
    assert main(["explain", str(run)]) == 2
    assert "no discriminator" in capsys.readouterr().err
    assert main(["explain", str(run), "--seed", "-1"]) == 2
    assert main(["explain", str(run), "-o", "a.jpg"]) == 2

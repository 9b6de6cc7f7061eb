"""The native kernels against their torch twins, forward and backward.

The twin runs in float64, so that the differences are those of the native code alone; 1e-4 relative
to the largest value of each tensor, unless the scene says why not.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.adam import adam_visible_
from tondo.kernels.adam_torch import AdamStep, adam_visible_torch_
from tondo.kernels.splats.rasterize import rasterize, rasterize_path
from tondo.kernels.splats.rasterize_torch import rasterize_torch
from tondo.kernels.ssim_l1 import ssim_l1
from tondo.kernels.ssim_l1_torch import ssim_l1_torch

PARAMETERS = ("means", "quats", "scales", "opacities", "sh", "viewmats", "backgrounds")
SIZE = (75, 50)  # 5 x 4 tiles, the last ones cut


@pytest.fixture
def native_threads() -> Iterator[Callable[[int], None]]:
    before = _native.num_threads()
    yield _native.set_num_threads
    _native.set_num_threads(before)


def run(
    rasterizer: Callable, scene: dict[str, Any], dtype: torch.dtype, **options: Any
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Pictures and the gradients of a random weighting of them."""
    arguments = {
        name: value.to(dtype) if isinstance(value, Tensor) else value
        for name, value in scene.items()
    }
    leaves = {name: arguments[name].clone().requires_grad_() for name in PARAMETERS}
    picture, alphas, meta = rasterizer(**{**arguments, **leaves}, **options)
    outputs = {"picture": picture, "alphas": alphas}
    if "normals" in meta:
        outputs["normals"] = meta["normals"]
    generator = torch.Generator().manual_seed(0)
    total = sum(
        (torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o) * o).sum()
        for o in outputs.values()
    )
    total.backward()
    outputs |= {n: meta[n] for n in ("radii", "means2d", "depths", "conics", "opacities")}
    return {n: t.detach() for n, t in outputs.items()}, {n: t.grad for n, t in leaves.items()}


def assert_near(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        largest = value.abs().max()
        assert largest > 0, f"{name} is all zero: the test is empty"
        error = (found[name] - value).abs().max() / largest
        assert error <= tolerance, f"{name} is off by {error:.2g} of its largest value"


def test_the_cpu_runs_native_code() -> None:
    assert rasterize_path("cpu") == ("native", "float32 on the CPU")


SCENES = {
    "mixed": {"n": 300, "cameras": 2},
    "opaque": {"n": 300, "cameras": 2, "opacity": (0.9, 1.0)},
    "transparent": {"n": 300, "opacity": (0.003, 0.02)},
    "big": {"n": 60, "scale": (1.0, 5.0)},
    "single": {"n": 1, "scale": (0.1, 0.3)},
}


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("kind", SCENES)
def test_rasterize_against_the_twin(make_scene: Callable, kind: str, mode: str) -> None:
    scene = make_scene(size=SIZE, **SCENES[kind])
    options = {"render_mode": "RGB+D", "with_normals": True, "rasterize_mode": mode}
    found, slopes = run(rasterize, scene, torch.float32, **options)
    expected, expected_slopes = run(rasterize_torch, scene, torch.float64, **options)
    assert torch.equal(found.pop("radii"), expected.pop("radii"))
    # where opacities are high, what the background shows through is 1 - alpha, a small difference
    # of rounded numbers; the twin in float32 is as far off
    background, twin_background = (s.pop("backgrounds") for s in (slopes, expected_slopes))
    assert (background - twin_background).abs().max() < 1e-3 * twin_background.abs().max()
    assert_near(found, expected, 1e-4)
    assert_near(slopes, expected_slopes, 1e-4)


def test_expected_depth_against_the_twin(make_scene: Callable) -> None:
    # In faint pixels the slopes of D / alpha in D and in alpha are large and nearly cancel.
    scene = make_scene(n=100, size=SIZE, cameras=2, scale=(0.05, 0.2))
    found, slopes = run(rasterize, scene, torch.float32, render_mode="ED")
    expected, expected_slopes = run(rasterize_torch, scene, torch.float64, render_mode="ED")
    for unused in ("sh", "backgrounds"):
        assert slopes.pop(unused) is None
        assert expected_slopes.pop(unused) is None
    assert_near(found, expected, 1e-4)
    assert_near(slopes, expected_slopes, 1e-3)


@pytest.mark.parametrize("scale", [(0.0005, 0.01), (0.001, 3.0)])
def test_tiny_and_needle_shaped_splats_against_the_twin(
    make_scene: Callable, scale: tuple[float, float]
) -> None:
    # A needle's conic comes from xx yy - xy^2, nearly equal numbers: float32 keeps few digits
    # of the gradient.
    scene = make_scene(n=200, size=SIZE, scale=scale)
    found, slopes = run(rasterize, scene, torch.float32)
    expected, expected_slopes = run(rasterize_torch, scene, torch.float64)
    found.pop("conics"), expected.pop("conics")
    assert_near(found, expected, 5e-4)
    assert_near(slopes, expected_slopes, 5e-3)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_degrees_of_harmonics(make_scene: Callable, degree: int) -> None:
    scene = {**make_scene(n=120, size=SIZE, cameras=2), "sh_degree": degree}
    _, slopes = run(rasterize, scene, torch.float32)
    _, expected = run(rasterize_torch, scene, torch.float64)
    assert_near(slopes, expected, 1e-4)
    assert (slopes["sh"][:, (degree + 1) ** 2 :] == 0).all()


@pytest.mark.parametrize("channels", [1, 3, 8, 11])
@pytest.mark.parametrize("per_camera", [False, True])
def test_plain_colors(make_scene: Callable, channels: int, per_camera: bool) -> None:
    scene = make_scene(n=80, size=SIZE, cameras=2)
    generator = torch.Generator().manual_seed(3)
    lead = (2, 80) if per_camera else (80,)
    scene["sh"] = torch.rand(*lead, channels, generator=generator)
    scene["backgrounds"] = torch.rand(2, channels, generator=generator)
    scene["sh_degree"] = None
    found, slopes = run(rasterize, scene, torch.float32, render_mode="RGB+D")
    expected, expected_slopes = run(rasterize_torch, scene, torch.float64, render_mode="RGB+D")
    assert found["picture"].shape == (2, SIZE[1], SIZE[0], channels + 1)
    assert_near(found, expected, 1e-4)
    assert_near(slopes, expected_slopes, 1e-4)


@pytest.mark.parametrize("mode", ["RGB", "D", "ED", "RGB+D"])
def test_modes(make_scene: Callable, mode: str) -> None:
    scene = make_scene(n=80, size=SIZE)
    picture, alphas, meta = rasterize(**scene, render_mode=mode)
    expected, expected_alphas, expected_meta = rasterize_torch(**scene, render_mode=mode)
    torch.testing.assert_close(picture, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alphas, expected_alphas, rtol=1e-4, atol=1e-5)
    assert meta.keys() == expected_meta.keys()


def test_ties_in_depth_go_by_index(make_scene: Callable) -> None:
    scene = make_scene(n=120, size=SIZE, opacity=(0.5, 0.9), scale=(0.2, 0.6))
    scene["viewmats"] = torch.eye(4)[None]
    scene["means"][:, 2] = 3 + (torch.arange(120) % 3)  # three sheets of forty
    found, _, _ = rasterize(**scene)
    expected, _, _ = rasterize_torch(**scene)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    backwards = {n: scene[n].flip(0) for n in ("means", "quats", "scales", "opacities", "sh")}
    other, _, _ = rasterize(**{**scene, **backwards})
    assert (found - other).abs().max() > 0.01  # so the order within a sheet is seen


def test_stack_of_opaque_splats_stops_where_the_twin_stops(make_scene: Callable) -> None:
    scene = make_scene(n=60, size=SIZE, opacity=(0.999, 1.0), scale=(0.3, 0.6))
    scene["means"][:, :2] *= 0.2
    found, slopes = run(rasterize, scene, torch.float32)
    expected, expected_slopes = run(rasterize_torch, scene, torch.float64)
    assert (1 - expected["alphas"]).min() < 1.1e-3
    assert (1 - expected["alphas"]).min() > 1e-4
    for slope in (slopes, expected_slopes):
        slope.pop("backgrounds")  # see above
    assert_near(found, expected, 1e-4)
    assert_near(slopes, expected_slopes, 1e-4)


def test_order_of_splats_has_no_influence(make_scene: Callable) -> None:
    scene = make_scene(n=200, size=SIZE)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(4))
    names = ("means", "quats", "scales", "opacities", "sh")
    mixed = {**scene, **{n: scene[n][order] for n in names}}
    _, slopes = run(rasterize, scene, torch.float32)
    _, mixed_slopes = run(rasterize, mixed, torch.float32)
    torch.testing.assert_close(rasterize(**scene)[0], rasterize(**mixed)[0])
    for name in names:
        slopes[name] = slopes[name][order]
    assert_near(mixed_slopes, slopes, 1e-5)


@pytest.mark.parametrize("place", ["none", "behind", "aside"])
def test_nothing_to_see(make_scene: Callable, place: str) -> None:
    scene = make_scene(n=0 if place == "none" else 6, size=SIZE, cameras=2)
    if place == "behind":
        scene["viewmats"][:, 2, 3] = -6.0
    if place == "aside":
        scene["viewmats"][:, 0, 3] = 60.0
    for name in PARAMETERS:
        scene[name].requires_grad_()
    picture, alphas, meta = rasterize(**scene, render_mode="RGB+ED", with_normals=True)
    assert (alphas == 0).all()
    assert (picture[..., 3] == 0).all()
    assert torch.equal(
        picture[..., :3], scene["backgrounds"][:, None, None, :].expand_as(picture[..., :3])
    )
    (picture.sum() + alphas.sum() + meta["normals"].sum()).backward()
    assert (scene["backgrounds"].grad == SIZE[0] * SIZE[1]).all()
    for name in ("means", "quats", "scales", "opacities", "sh", "viewmats"):
        assert (scene[name].grad == 0).all()


def test_not_finite_splats_are_culled_and_harm_no_other(make_scene: Callable) -> None:
    scene = make_scene(n=40, size=SIZE)
    clean, _, _ = rasterize(**scene)
    bad = {
        "means": torch.tensor([[float("nan"), 0, 0], [float("inf"), 0, 0], [0, 0, 0.0]]),
        "quats": torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]),
        "scales": torch.tensor([[0.1] * 3, [0.1] * 3, [float("nan")] * 3]),
        "opacities": torch.full((3,), 0.8),
        "sh": torch.zeros(3, 16, 3),
    }
    for rasterizer in (rasterize, rasterize_torch):
        picture, _, meta = rasterizer(
            **{**scene, **{n: torch.cat([scene[n], bad[n]]) for n in bad}}
        )
        assert (meta["radii"][0, 40:] == 0).all()
        torch.testing.assert_close(picture, clean, rtol=1e-4, atol=1e-5)


def test_tensors_that_are_not_contiguous(make_scene: Callable) -> None:
    scene = make_scene(n=40, size=SIZE)
    strided = {
        n: torch.stack([scene[n], torch.full_like(scene[n], 9.0)], dim=-1)[..., 0]
        for n in (*PARAMETERS, "Ks")
    }
    assert not strided["means"].is_contiguous()
    assert torch.equal(rasterize(**{**scene, **strided})[0], rasterize(**scene)[0])


def test_slope_of_the_2d_means_can_be_kept(make_scene: Callable) -> None:
    slopes = []
    for rasterizer in (rasterize, rasterize_torch):
        scene = make_scene(n=60, size=SIZE, cameras=2)
        scene["means"].requires_grad_()
        picture, _, meta = rasterizer(**scene)
        meta["means2d"].retain_grad()
        picture.square().sum().backward()
        slopes.append({"means2d": meta["means2d"].grad})
    assert_near(*slopes, 1e-4)


def test_any_number_of_threads_gives_the_same_bits(
    make_scene: Callable, native_threads: Callable[[int], None]
) -> None:
    scene = make_scene(n=3000, size=(150, 100), cameras=2, scale=(0.01, 0.3))
    target = torch.rand(2, 100, 150, 3, generator=torch.Generator().manual_seed(1))
    results = []
    for threads in (1, 2, 3, 1):
        native_threads(threads)
        assert _native.num_threads() == threads
        outputs, slopes = run(rasterize, scene, torch.float32, render_mode="RGB+ED")
        image = outputs["picture"][..., :3].clone().requires_grad_()
        loss = ssim_l1(image, target)
        loss.backward()
        params, first, second = (slopes["means"].clone().abs() for _ in range(3))
        seen = torch.ones(3000).bool()
        adam = AdamStep(0.1, 0.9, 0.999, 1e-15, 2)
        adam_visible_(params, slopes["means"], first, second, seen, adam)
        outputs |= {f"v_{n}": s for n, s in slopes.items()}
        results.append({**outputs, "loss": loss.detach(), "v_image": image.grad, "p": params})
    for other in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(value, other[name]), name


WITHOUT_TORCH = """
import ctypes, importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("_native", sys.argv[1])
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)
assert "torch" not in sys.modules and not hasattr(ctypes.CDLL(None), "GOMP_parallel")
x = np.random.default_rng(0).normal(size=(3, 40, 5, 14)).astype(np.float32)
style = np.ones((3, 40), np.float32)
found = []
for threads in (1, 2, 3, 2):
    native.set_num_threads(threads)
    for _ in range(50):
        out = np.zeros((3, 40, 7, 16), np.float32)
        native.sphere_padded(x, style, out)
        found.append(out)
assert all(np.array_equal(out, found[0]) for out in found)
assert np.array_equal(found[0][:, :, 1:-1, 1:-1], x)
"""


def test_without_torch_the_work_is_done_by_threads_of_our_own() -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, _native.__file__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(37, 53), (8, 5), (1, 1)])
def test_ssim_l1_against_the_twin(size: tuple[int, int], masked: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    image, target = (torch.rand(2, *size, 3, generator=generator) for _ in range(2))
    mask = torch.rand(2, *size, generator=generator) > 0.3 if masked else None
    if mask is not None:
        mask[0, 0, 0] = True
        mask[1] = mask[1] & (size[0] > 1)  # a picture that is masked out entirely
    native, twin = image.clone().requires_grad_(), image.double().requires_grad_()
    loss = ssim_l1(native, target, mask)
    expected = ssim_l1_torch(twin, target.double(), mask)
    (3 * loss).backward()
    (3 * expected).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_near({"image": native.grad}, {"image": twin.grad}, 1e-4)


def test_ssim_l1_on_nearly_equal_and_flat_pictures() -> None:
    # the variances are differences of nearly equal squares: what is left must stay below C2
    target = torch.full((24, 33, 3), 0.7)
    image = target + 1e-3 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    native, twin = image.clone().requires_grad_(), image.double().requires_grad_()
    loss, expected = ssim_l1(native, target), ssim_l1_torch(twin, target.double())
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=2e-6)
    assert_near({"image": native.grad}, {"image": twin.grad}, 1e-2)


@pytest.mark.parametrize("columns", [1, 3, 8, 48])
def test_adam_against_the_twin(columns: int) -> None:
    generator = torch.Generator().manual_seed(columns)
    rows = [torch.randn(1001, columns, generator=generator) for _ in range(4)]
    rows[3].abs_()
    visible = torch.rand(1001, generator=generator) > 0.4
    visible[200:300] = True  # runs of visible rows take another way
    rates = torch.rand(columns, generator=generator)
    twin = [t.double() for t in rows]
    adam_visible_(*rows, visible, AdamStep(rates, 0.9, 0.99, 1e-10, 5))
    adam_visible_torch_(*twin, visible, AdamStep(rates.double(), 0.9, 0.99, 1e-10, 5))
    for name, found, expected in zip("pgmv", rows, twin, strict=True):
        assert_near({name: found}, {name: expected}, 1e-5)


def test_adam_refuses_rows_that_are_not_contiguous() -> None:
    rows = [torch.zeros(6, 4) for _ in range(4)]
    rows[0] = torch.zeros(4, 6).T
    with pytest.raises(ValueError, match="params must be contiguous"):
        adam_visible_(*rows, torch.ones(6).bool(), AdamStep(0.1, 0.9, 0.99, 1e-10, 1))

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tondo.geometry.rotations import rotation_from_quat
from tondo.kernels.splats.rasterize_torch import rasterize_torch

WIDTH, HEIGHT = 13, 9
PARAMETERS = ("means", "quats", "scales", "opacities", "sh", "viewmats", "backgrounds")


def walk_pixels(meta: dict[str, Any], colors: Tensor, camera: int) -> tuple[Tensor, Tensor]:
    """Blending as a loop over pixels and splats: (sums [H, W, D], alphas [H, W])."""
    height, width = meta["height"], meta["width"]
    depths = meta["depths"][camera].tolist()
    seen = [i for i in range(len(depths)) if meta["radii"][camera, i, 0] > 0]
    order = sorted(seen, key=lambda i: (depths[i], i))
    sums = torch.zeros(height, width, colors.shape[-1], dtype=colors.dtype)
    alphas = torch.zeros(height, width, dtype=colors.dtype)
    for row in range(height):
        for column in range(width):
            through = 1.0
            for i in order:
                x, y = meta["means2d"][camera, i].tolist()
                a, b, c = meta["conics"][camera, i].tolist()
                dx, dy = x - (column + 0.5), y - (row + 0.5)
                sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
                alpha = min(0.999, meta["opacities"][camera, i].item() * math.exp(-sigma))
                if sigma < 0 or alpha < 1 / 255:
                    continue
                if through * (1 - alpha) <= 1e-4:
                    break
                sums[row, column] += through * alpha * colors[i]
                through *= 1 - alpha
            alphas[row, column] = 1 - through
    return sums, alphas


@pytest.mark.parametrize("opacity", [(0.02, 0.6), (0.95, 1.0)])
def test_same_as_a_loop_over_pixels(make_scene: Callable, opacity: tuple[float, float]) -> None:
    s = make_scene(n=25, cameras=2, dtype=torch.float64, opacity=opacity, scale=(0.1, 0.9))
    s["sh"] = torch.rand(25, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    s["sh_degree"] = None
    picture, alphas, meta = rasterize_torch(**s)
    assert picture.shape == (2, HEIGHT, WIDTH, 3)
    assert alphas.shape == (2, HEIGHT, WIDTH, 1)
    for c in range(2):
        sums, alpha = walk_pixels(meta, s["sh"], c)
        assert alpha.max() > 0.5
        if opacity[0] > 0.9:  # the early stop took part: 1e-4 was never passed, but nearly
            assert 1e-4 < (1 - alpha).min() < 0.02
        torch.testing.assert_close(alphas[c, ..., 0], alpha)
        behind = (1 - alpha)[..., None] * s["backgrounds"][c]
        torch.testing.assert_close(picture[c], sums + behind)


def single(opacity: float, color: list[float], z: float = 2.0) -> dict[str, Any]:
    """A round splat whose centre is the centre of pixel (row 4, column 6)."""
    return {
        "means": torch.tensor([[0.0, 0, z]], dtype=torch.float64),
        "quats": torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64),
        "scales": torch.full((1, 3), 0.1, dtype=torch.float64),
        "opacities": torch.tensor([opacity], dtype=torch.float64),
        "sh": torch.tensor([color], dtype=torch.float64),
        "viewmats": torch.eye(4, dtype=torch.float64)[None],
        "Ks": torch.tensor([[[20, 0, 6.5], [0, 20, 4.5], [0, 0, 1]]], dtype=torch.float64),
        "width": WIDTH,
        "height": HEIGHT,
    }


def stacked(*splats: dict[str, Any]) -> dict[str, Any]:
    names = ("means", "quats", "scales", "opacities", "sh")
    return {**splats[0], **{n: torch.cat([s[n] for s in splats]) for n in names}}


def test_one_splat_by_hand() -> None:
    scene = single(0.6, [0.9, 0.2, 0.1])
    background = torch.tensor([[0.0, 1.0, 0.5]], dtype=torch.float64)
    picture, alphas, _ = rasterize_torch(**scene, backgrounds=background)
    torch.testing.assert_close(alphas[0, 4, 6].item(), 0.6)
    variance = (20 * 0.1 / 2) ** 2 + 0.3
    beside = 0.6 * math.exp(-0.5 * (2**2 + 1**2) / variance)
    torch.testing.assert_close(alphas[0, 5, 4].item(), beside)
    torch.testing.assert_close(picture[0, 4, 6].tolist(), [0.54, 0.12 + 0.4, 0.06 + 0.2])
    assert alphas[0, 0, 0] == 0
    torch.testing.assert_close(picture[0, 0, 0], background[0])


def test_front_hides_back_and_alpha_ends_at_0_999() -> None:
    front, back = single(1.0, [1.0, 0, 0], z=2.0), single(1.0, [0, 1.0, 0], z=3.0)
    for scene in (stacked(front, back), stacked(back, front)):
        picture, alphas, _ = rasterize_torch(**scene)
        # the second would bring the transmittance to 1e-6: it is left out entirely
        torch.testing.assert_close(picture[0, 4, 6].tolist(), [0.999, 0.0, 0.0])
        torch.testing.assert_close(alphas[0, 4, 6].item(), 0.999)


def test_splats_at_the_same_depth_blend_in_order_of_index() -> None:
    first, second = single(0.5, [1.0, 0, 0]), single(0.5, [0, 1.0, 0])
    picture, _, _ = rasterize_torch(**stacked(first, second))
    torch.testing.assert_close(picture[0, 4, 6].tolist(), [0.5, 0.25, 0.0])


def test_depth_modes(make_scene: Callable) -> None:
    s = make_scene(n=12, cameras=2)
    color, alphas, meta = rasterize_torch(**s)
    depth, _, _ = rasterize_torch(**s, render_mode="D")
    expected, _, _ = rasterize_torch(**s, render_mode="ED")
    assert depth.shape == expected.shape == (2, HEIGHT, WIDTH, 1)
    both, _, _ = rasterize_torch(**s, render_mode="RGB+D")
    torch.testing.assert_close(both, torch.cat([color, depth], dim=-1))
    both, _, _ = rasterize_torch(**s, render_mode="RGB+ED")
    torch.testing.assert_close(both, torch.cat([color, expected], dim=-1))
    seen = alphas > 0.01
    torch.testing.assert_close((expected * alphas)[seen], depth[seen])
    near, far = meta["depths"][meta["depths"] > 0].min(), meta["depths"].max()
    assert ((expected[seen] > near - 1e-4) & (expected[seen] < far + 1e-4)).all()
    assert (expected[alphas == 0] == 0).all()


def test_antialiased_scales_the_opacity(make_scene: Callable) -> None:
    s = make_scene(n=12, scale=(0.02, 0.1), dtype=torch.float64, opacity=(0.8, 0.9))
    _, classic, meta = rasterize_torch(**s)
    _, smooth, smooth_meta = rasterize_torch(**s, rasterize_mode="antialiased")
    seen = (smooth_meta["radii"][0] > 0).all(-1)
    assert seen.sum() > 5
    assert (smooth_meta["opacities"][0, seen] < meta["opacities"][0, seen]).all()
    assert smooth.sum() < classic.sum()
    # without a low-pass term there is nothing to compensate
    sharp = [
        rasterize_torch(**s, eps2d=0.0, rasterize_mode=m)[0] for m in ("classic", "antialiased")
    ]
    torch.testing.assert_close(*sharp)


def test_colors_per_camera_and_any_number_of_channels(make_scene: Callable) -> None:
    s = make_scene(n=9, cameras=2)
    harmonics = s["sh"]
    per_camera = torch.stack([harmonics, -harmonics])
    both, _, _ = rasterize_torch(**{**s, "sh": per_camera})
    for c, sh in enumerate(per_camera):
        one, _, _ = rasterize_torch(**{**s, "sh": sh})
        torch.testing.assert_close(both[c], one[c])
    features = torch.rand(2, 9, 5, generator=torch.Generator().manual_seed(0))
    plain = {**s, "sh_degree": None, "backgrounds": torch.rand(2, 5)}
    wide, _, _ = rasterize_torch(**{**plain, "sh": features})
    assert wide.shape == (2, HEIGHT, WIDTH, 5)
    for k in range(5):
        backgrounds = plain["backgrounds"][:, k : k + 1]
        one, _, _ = rasterize_torch(
            **{**plain, "sh": features[..., k : k + 1], "backgrounds": backgrounds}
        )
        torch.testing.assert_close(wide[..., k : k + 1], one)


def test_normals_face_the_camera(make_scene: Callable) -> None:
    s = make_scene(n=1, cameras=2, dtype=torch.float64)
    s["means"] = torch.zeros(1, 3, dtype=torch.float64)
    s["scales"] = torch.tensor([[0.5, 0.1, 0.4]], dtype=torch.float64)
    _, alphas, meta = rasterize_torch(**s, with_normals=True)
    axis = rotation_from_quat(s["quats"])[0, :, 1]
    for c in range(2):
        position = torch.linalg.inv(s["viewmats"][c])[:3, 3]
        facing = axis if axis @ position > 0 else -axis
        assert alphas[c].max() > 0.05
        torch.testing.assert_close(meta["normals"][c], alphas[c] * facing)
    assert "normals" not in rasterize_torch(**s)[2]


def test_tile_size_has_no_influence(make_scene: Callable) -> None:
    s = make_scene(n=30, scale=(0.02, 1.0), dtype=torch.float64, opacity=(0.01, 1.0))
    pictures = [rasterize_torch(**s, tile_size=t)[0] for t in (1, 4, 16)]
    torch.testing.assert_close(pictures[0], pictures[1])
    torch.testing.assert_close(pictures[1], pictures[2])


def test_order_of_splats_has_no_influence(make_scene: Callable) -> None:
    s = make_scene(n=30)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(4))
    names = ("means", "quats", "scales", "opacities", "sh")
    mixed = {**s, **{n: s[n][order] for n in names}}
    torch.testing.assert_close(rasterize_torch(**s)[0], rasterize_torch(**mixed)[0])


@pytest.mark.parametrize("place", ["none", "behind", "aside"])
def test_nothing_to_see(make_scene: Callable, place: str) -> None:
    s = make_scene(n=0 if place == "none" else 6, cameras=2)
    if place == "behind":
        s["viewmats"][:, 2, 3] = -6.0
    if place == "aside":
        s["viewmats"][:, 0, 3] = 60.0
    s["backgrounds"].requires_grad_()
    s["means"].requires_grad_()
    picture, alphas, meta = rasterize_torch(**s, render_mode="RGB+ED", with_normals=True)
    assert (alphas == 0).all()
    expected = s["backgrounds"][:, None, None, :].expand(2, HEIGHT, WIDTH, 3)
    assert torch.equal(picture[..., :3], expected)
    assert (picture[..., 3] == 0).all()
    assert meta["radii"].shape == (2, len(s["means"]), 2)
    assert (meta["radii"] == 0).all()
    (picture.sum() + meta["normals"].sum()).backward()
    assert (s["backgrounds"].grad == HEIGHT * WIDTH).all()
    assert s["means"].grad is None or (s["means"].grad == 0).all()


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_slopes(make_scene: Callable, assert_slopes: Callable, mode: str) -> None:
    s = make_scene(dtype=torch.float64, scale=(0.1, 0.6))
    generator = torch.Generator().manual_seed(9)
    channels = torch.randn(1, HEIGHT, WIDTH, 8, dtype=torch.float64, generator=generator)
    fixed = {name: value for name, value in s.items() if name not in (*PARAMETERS, "Ks")}

    def loss(**tensors: Tensor) -> Tensor:
        picture, alphas, meta = rasterize_torch(
            **tensors,
            **fixed,
            render_mode="RGB+ED",
            with_normals=True,
            rasterize_mode=mode,
        )
        return (torch.cat([picture, alphas, meta["normals"]], dim=-1) * channels).sum()

    assert_slopes(loss, {name: s[name] for name in (*PARAMETERS, "Ks")})


def test_slopes_where_pixels_stop_early_and_alpha_is_capped(assert_slopes: Callable) -> None:
    splats = [
        single(0.9, [0.9, 0.3, 0.2], z=2.0),
        single(1.0, [0.2, 0.9, 0.1], z=2.5),
        single(0.95, [0.1, 0.4, 0.8], z=3.0),
    ]
    scene = stacked(*splats)
    # in the middle 0.999 is the cap: the slope of the opacity there is 0, around it is not
    scene["opacities"][1] = 1.3
    scene["means"][:, :2] += torch.tensor([[0.03, -0.02], [0.0, 0.0], [-0.05, 0.04]])
    generator = torch.Generator().manual_seed(9)
    channels = torch.randn(1, HEIGHT, WIDTH, 3, dtype=torch.float64, generator=generator)
    names = ("means", "quats", "scales", "opacities", "sh")
    scene["scales"] *= torch.tensor([1.0, 1.2, 0.8])
    scene["quats"] += torch.tensor([0.0, 0.3, -0.2, 0.5])
    fixed = {name: value for name, value in scene.items() if name not in names}

    def loss(**tensors: Tensor) -> Tensor:
        picture, alphas, _ = rasterize_torch(**tensors, **fixed)
        assert (1 - alphas).min() < 2e-4
        return (picture * channels).sum()

    assert_slopes(loss, {name: scene[name] for name in names})


def test_slope_of_the_2d_means_can_be_kept(make_scene: Callable) -> None:
    # densification looks at it
    s = make_scene(n=9)
    s["means"].requires_grad_()
    picture, _, meta = rasterize_torch(**s)
    meta["means2d"].retain_grad()
    picture.square().sum().backward()
    seen = (meta["radii"][0] > 0).all(-1)
    assert (meta["means2d"].grad[0, seen].abs().sum(-1) > 0).any()
    assert (meta["means2d"].grad[0, ~seen] == 0).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"quats": torch.zeros(6, 4)}, ValueError, r"quats must be \[N, 4\], N=7, got \[6, 4\]"),
        ({"opacities": torch.zeros(7, 1)}, ValueError, "opacities must be"),
        ({"viewmats": torch.eye(4)}, ValueError, r"viewmats must be \[C, 4, 4\]"),
        ({"Ks": torch.eye(3).expand(2, 3, 3)}, ValueError, "Ks must be"),
        ({"sh": torch.zeros(7, 9, 3)}, ValueError, "sh_degree 3 needs 16 coefficients, sh has 9"),
        ({"sh": torch.zeros(7, 3)}, ValueError, "sh must be"),
        ({"sh_degree": 4}, ValueError, r"sh_degree must be None or 0\.\.3"),
        ({"sh_degree": None}, ValueError, "as sh_degree is None"),
        ({"backgrounds": torch.zeros(3)}, ValueError, "backgrounds must be"),
        ({"means": torch.zeros(7, 3, dtype=torch.float16)}, TypeError, "means must be float32"),
        ({"scales": torch.zeros(7, 3, dtype=torch.float64)}, TypeError, "scales must be float32"),
        ({"means": [[0, 0, 0]]}, TypeError, "means must be a torch.Tensor"),
        ({"width": 0}, ValueError, "at least 1x1, got 0x9"),
        ({"tile_size": 0}, ValueError, "tile_size"),
        ({"render_mode": "rgb"}, ValueError, "render_mode must be one of"),
        ({"rasterize_mode": "smooth"}, ValueError, "rasterize_mode must be one of"),
        ({"packed": True}, ValueError, "packed=True is not supported"),
        ({"means": torch.zeros(7, 3, device="meta")}, ValueError, "must be on one device"),
    ],
)
def test_wrong_arguments(
    make_scene: Callable, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rasterize_torch(**{**make_scene(), **change})

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
import torch
from PIL import Image

from tondo.data.photos import PointCloud
from tondo.errors import InputError, OptionError
from tondo.io.images import read_image, write_png
from tondo.io.posed.photos import has_poses, load_cameras, load_photos

W, H = 30, 20
LENS = {"fl_x": 31.0, "fl_y": 30.0, "cx": 14.0, "cy": 10.5, "w": W, "h": H}


def pose(step: int) -> list[list[float]]:
    """Camera-to-world, OpenGL axes, upright in a world with z up, on a circle."""
    c, s = math.cos(0.3 * step), math.sin(0.3 * step)
    return [[-s, 0.0, c, 3 * c], [c, 0.0, s, 3 * s], [0.0, 1.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0]]


def picture(step: int, *, alpha: bool = False) -> torch.Tensor:
    found = torch.full((H, W, 4 if alpha else 3), 10 * step + 5, dtype=torch.uint8)
    if alpha:
        found[: H // 2, :, 3] = 0
    return found


def transforms(folder: Path, count: int = 9, **more: Any) -> Path:
    frames = [
        {"file_path": f"images/{step:02d}.png", "transform_matrix": pose(step)}
        for step in range(count)
    ]
    for step, frame in enumerate(frames):
        write_png(folder / str(frame["file_path"]), picture(step))
    path = folder / "transforms.json"
    path.write_text(json.dumps({**LENS, **more, "frames": frames}))
    return path


def blender(folder: Path, splits: dict[str, int]) -> None:
    for split, count in splits.items():
        frames = []
        for step in range(count):
            write_png(folder / split / f"r_{step}.png", picture(step, alpha=True))
            frames.append({"file_path": f"./{split}/r_{step}", "transform_matrix": pose(step)})
        content = {"camera_angle_x": 0.8, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(content))


def colmap_model(count: int = 9, size: tuple[int, int] = (W, H)) -> pycolmap.Reconstruction:
    """`count` cameras in a row that see 12 points, with a little distortion."""
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(
        model="SIMPLE_RADIAL",
        width=size[0],
        height=size[1],
        params=[size[0], size[0] / 2, size[1] / 2, 0.3],
        camera_id=1,
    )
    model.add_camera_with_trivial_rig(camera)
    points = np.random.default_rng(0).uniform([-1, -0.5, -0.5], [1, 0.5, 0.5], (12, 3))
    ids = [model.add_point3D(p, pycolmap.Track(), np.array([9, 9, 9], np.uint8)) for p in points]
    for step in range(count):
        where = pycolmap.Rigid3d(pycolmap.Rotation3d(), np.array([0.1 * step - 0.4, 0.0, 4.0]))
        image = pycolmap.Image(
            name=f"{step:02d}.png",
            camera_id=1,
            image_id=step + 1,
            points2D=[pycolmap.Point2D(p) for p in camera.img_from_cam(points + where.translation)],
        )
        model.add_image_with_trivial_frame(image, where)
        for k, point_id in enumerate(ids):
            model.add_observation(point_id, pycolmap.TrackElement(step + 1, k))
    return model


def write_colmap(folder: Path, model_folder: str, *, text: bool = False, count: int = 9) -> None:
    place = folder / model_folder
    place.mkdir(parents=True, exist_ok=True)
    model = colmap_model(count)
    (model.write_text if text else model.write_binary)(place)
    for step in range(count):
        write_png(folder / "images" / f"{step:02d}.png", picture(step))


def names(photos: tuple) -> list[str]:
    return [Path(photo.name).stem for photo in photos]


def test_every_eighth_is_held_out_by_sorted_name(tmp_path: Path) -> None:
    transforms(tmp_path, 10)
    found = load_photos(tmp_path, max_size=None)
    assert names(found.test) == ["00", "08"]
    assert names(found.train) == ["01", "02", "03", "04", "05", "06", "07", "09"]
    assert found.train[0].name == "images/01.png"
    assert int(found.test[1].image[3, 3, 0]) == 85
    assert found.up.tolist() == [0, 0, 1]
    assert found.points is None
    assert not found.is_render
    assert found.source == "instant-ngp transforms.json"
    assert names(load_photos(tmp_path, max_size=None, holdout=4).test) == ["00", "04", "08"]
    assert load_photos(tmp_path, max_size=None, holdout=0).test == ()


def test_missing_photos_are_skipped_and_do_not_count(tmp_path: Path) -> None:
    path = transforms(tmp_path, 10)
    for step in (0, 3):
        (tmp_path / "images" / f"{step:02d}.png").unlink()
    found = load_photos(path, max_size=None, holdout=4)
    assert names(found.test) == ["01", "06"]
    assert [(s.name, s.reason) for s in found.skipped] == [
        (f"images/{step:02d}.png", "listed in transforms.json, but there is no such file")
        for step in (0, 3)
    ]


def test_a_truncated_jpeg_among_good_ones_is_skipped(tmp_path: Path) -> None:
    path = transforms(tmp_path, 10)
    data = json.loads(path.read_text())
    noise = np.random.default_rng(0).integers(0, 255, (H, W, 3), np.uint8)
    cut = tmp_path / "images" / "05.jpg"
    Image.fromarray(noise).save(cut, quality=95)
    cut.write_bytes(cut.read_bytes()[:900])
    data["frames"][5]["file_path"] = "images/05.jpg"
    path.write_text(json.dumps(data))
    found = load_photos(tmp_path, max_size=None)
    assert len(found.train) == 7
    assert names(found.test) == ["00", "08"]
    (skipped,) = found.skipped
    assert skipped.name == "images/05.jpg"
    assert skipped.reason.startswith(f"{cut} is damaged or cut off and cannot be decoded: ")


def test_photos_and_intrinsics_are_scaled_to_max_size(tmp_path: Path) -> None:
    transforms(tmp_path, 4)
    photo = load_photos(tmp_path, max_size=16).train[0]
    assert (photo.camera.width, photo.camera.height) == (16, 11)
    assert tuple(photo.image.shape) == (11, 16, 3)
    K = torch.tensor(
        [[31 * 16 / 30, 0, 14 * 16 / 30], [0, 30 * 11 / 20, 10.5 * 11 / 20], [0, 0, 1]]
    )
    assert torch.allclose(photo.camera.K, K)
    assert load_photos(tmp_path, max_size=999).train[0].camera.width == W


def test_lenses_are_undistorted_and_masks_are_not_valid(tmp_path: Path) -> None:
    path = transforms(tmp_path, 4, k1=0.3)
    data = json.loads(path.read_text())
    mask = torch.full((H, W), 255, dtype=torch.uint8)
    mask[:, :10] = 0
    write_png(tmp_path / "masks" / "2.png", mask)
    data["frames"][2]["mask_path"] = "masks/2.png"
    path.write_text(json.dumps(data))
    photos = {photo.name: photo for photo in load_photos(path, max_size=None, holdout=0).train}
    plain, masked = photos["images/01.png"], photos["images/02.png"]
    assert plain.valid is not None
    assert not plain.valid[0, 0]
    assert plain.valid[10, 5]
    assert masked.valid is not None
    assert not masked.valid[10, 5]
    assert masked.valid[10, 20]


def test_shared_and_single_lenses_give_the_same(tmp_path: Path) -> None:
    path = transforms(tmp_path, 4, k1=0.1, k2=-0.05)
    data = json.loads(path.read_text())
    shared = load_photos(path, max_size=None, holdout=0)
    data["frames"][1]["k1"] = 0.1 + 1e-12  # a lens of its own
    path.write_text(json.dumps(data))
    single = load_photos(path, max_size=None, holdout=0)
    assert [p.name for p in single.train] == [p.name for p in shared.train]
    for a, b in zip(shared.train, single.train, strict=True):
        assert torch.equal(a.image, b.image)


def test_exif_orientation_counts_where_the_intrinsics_say_so(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for side_by_side in (False, True):
        folder = tmp_path / str(side_by_side)
        path = transforms(folder, 3)
        stored = np.zeros((W, H, 3) if side_by_side else (H, W, 3), np.uint8)
        stored[:5] = 200
        Image.fromarray(stored).save(folder / "images" / "01.png", exif=exif)
        photo = load_photos(path, max_size=None, holdout=0).train[1]
        # Turned (rows become columns from the right) only if that is what fits 30x20.
        bright = photo.image[:, -5:] if side_by_side else photo.image[:5]
        assert bool((bright == 200).all())
        assert int((photo.image[..., 0] == 200).sum()) == bright[..., 0].numel()


def test_blender_folders_have_their_own_test_split(tmp_path: Path) -> None:
    blender(tmp_path, {"train": 5, "val": 2, "test": 3})
    for source in (tmp_path, tmp_path / "transforms_train.json"):
        found = load_photos(source, max_size=None)
        assert [p.name for p in found.train] == [f"train/r_{i}.png" for i in range(5)]
        assert [p.name for p in found.test] == [f"test/r_{i}.png" for i in range(3)]
        assert found.is_render
    photo = found.train[2]
    assert photo.alpha is not None
    assert photo.alpha[:10].unique().tolist() == [0]
    assert photo.alpha[10:].unique().tolist() == [25]  # `picture` fills alpha as well
    focal = 0.5 * W / math.tan(0.4)
    assert torch.allclose(photo.camera.K[:2, :2], focal * torch.eye(2))
    assert photo.camera.K[:2, 2].tolist() == [W / 2, H / 2]
    alone = load_photos(tmp_path / "transforms_train.json", max_size=None, holdout=0)
    assert (len(alone.train), len(alone.test)) == (5, 0)
    (tmp_path / "transforms_test.json").unlink()
    assert len(load_photos(tmp_path, max_size=None).test) == 2  # val stands in
    (tmp_path / "transforms_val.json").unlink()
    assert names(load_photos(tmp_path, max_size=None, holdout=4).test) == ["r_0", "r_4"]


def test_a_nerfstudio_file_may_name_its_split(tmp_path: Path) -> None:
    train, test = [1, 2, 3, 5], [4, 6]
    transforms(
        tmp_path,
        8,
        camera_model="OPENCV",
        train_filenames=[f"images/{i:02d}.png" for i in train],
        test_filenames=[f"./images/{i:02d}.png" for i in test],
    )
    found = load_photos(tmp_path, max_size=None)
    assert names(found.train) == ["01", "02", "03", "05"]
    assert names(found.test) == ["04", "06"]
    assert [(s.name, s.reason) for s in found.skipped] == [
        (f"images/{i:02d}.png", "in no split of the file") for i in (0, 7)
    ]


def test_nerfstudio_points_only_where_nothing_is_held_out(tmp_path: Path) -> None:
    transforms(tmp_path, 4, ply_file_path="sparse_pc.ply", applied_transform=[[1, 0, 0, 0]])
    (tmp_path / "sparse_pc.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"
        "property float z\nproperty uint8 red\nproperty uint8 green\nproperty uint8 blue\n"
        "end_header\n1 2 3 10 20 30\n4 5 6 40 50 60\n"
    )
    everything = load_photos(tmp_path, max_size=None, holdout=0)
    assert isinstance(everything.points, PointCloud)
    assert everything.points.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert everything.source == "nerfstudio transforms.json with sparse_pc.ply"
    held_out = load_photos(tmp_path, max_size=None, holdout=2)
    assert held_out.points is None
    assert "sparse_pc.ply not used: held-out photos had a part in it" in held_out.source
    assert load_photos(tmp_path, max_size=None, holdout=0, load_points=False).points is None


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("layout", ["sparse/0", "sparse", "colmap/sparse/0", "."])
def test_colmap_layouts(tmp_path: Path, layout: str, text: bool) -> None:
    write_colmap(tmp_path, layout, text=text)
    assert has_poses(tmp_path)
    found = load_photos(tmp_path, max_size=None)
    assert found.train[0].name == "images/01.png"
    assert names(found.test) == ["00", "08"]
    assert found.points is not None
    assert len(found.points.points) == 12
    assert torch.allclose(found.up, torch.tensor([0.0, -1.0, 0.0]))
    assert found.train[0].valid is not None  # undistorted
    # Colours of training photos only: 15 to 75, not the model's 9.
    assert found.points.colors.unique().tolist() == [45]
    if layout != ".":  # the model's own folder, or one of its files, will do as well
        inside = load_photos(tmp_path / layout, max_size=None)
        assert names(inside.train) == names(found.train)
        ending = "txt" if text else "bin"
        assert has_poses(tmp_path / layout / f"cameras.{ending}")


@pytest.mark.parametrize("text", [False, True])
def test_of_several_colmap_models_the_largest_is_taken(tmp_path: Path, text: bool) -> None:
    write_colmap(tmp_path, "sparse/1", text=text, count=9)
    write_colmap(tmp_path, "sparse/0", text=text, count=4)
    photos = load_photos(tmp_path, max_size=64, holdout=0)
    assert len(photos.train) == 9


def test_colmap_photos_beside_the_model_files(tmp_path: Path) -> None:
    colmap_model().write_binary(tmp_path)
    for step in range(9):
        write_png(tmp_path / f"{step:02d}.png", picture(step))
    write_png(tmp_path / "extra.png", picture(0))
    found = load_photos(tmp_path, max_size=None)
    assert [p.name for p in found.test] == ["00.png", "08.png"]
    assert [(s.name, s.reason) for s in found.skipped] == [
        ("extra.png", "not registered in the COLMAP model")
    ]


def test_colmap_intrinsics_follow_scaled_photos_and_no_others(tmp_path: Path) -> None:
    write_colmap(tmp_path, "sparse/0")
    colmap_model(size=(2 * W, 2 * H)).write_binary(tmp_path / "sparse" / "0")
    found = load_photos(tmp_path, max_size=None)
    assert found.train[0].camera.K[0, 0] == W
    assert "intrinsics scaled to the size of 9 photos" in found.source
    colmap_model(size=(2 * W, 3 * H)).write_binary(tmp_path / "sparse" / "0")
    with pytest.raises(InputError, match=r"the intrinsics of images/00.png are of another size"):
        load_photos(tmp_path, max_size=None)


def test_a_colmap_name_that_leaves_the_folder(tmp_path: Path) -> None:
    write_colmap(tmp_path, "sparse/0", text=True)
    images = tmp_path / "sparse" / "0" / "images.txt"
    images.write_text(images.read_text().replace("03.png", "../../03.png"))
    with pytest.raises(InputError, match="leaves the folder"):
        load_photos(tmp_path, max_size=None)


def test_a_colmap_model_without_its_photos(tmp_path: Path) -> None:
    write_colmap(tmp_path, "sparse/0")
    for photo in (tmp_path / "images").iterdir():
        photo.unlink()
    with pytest.raises(InputError) as caught:
        load_photos(tmp_path, max_size=None)
    assert str(caught.value) == (
        f"none of the 9 photos of the COLMAP model {tmp_path}/sparse/0 was found (the first is "
        f"'00.png'): put them into a folder `images` in {tmp_path}"
    )


def test_cameras_alone(tmp_path: Path) -> None:
    path = transforms(tmp_path, 3, k1=0.1)
    for photo in (tmp_path / "images").iterdir():
        photo.unlink()
    cameras = load_cameras(path)
    assert [c.name for c in cameras] == [
        "images/00.png".removesuffix(".png"),
        "images/01",
        "images/02",
    ]
    assert cameras[0].camera.K.tolist() == [[31, 0, 14], [0, 30, 10.5], [0, 0, 1]]
    assert (cameras[0].camera.width, cameras[0].camera.height) == (W, H)
    write_colmap(tmp_path / "model", "sparse/0")
    assert [c.name for c in load_cameras(tmp_path / "model")][:2] == ["00", "01"]
    with pytest.raises(InputError, match="there is no file or folder"):
        load_cameras(tmp_path / "none.json")


def test_cameras_of_blender_take_the_size_from_what_is_there(tmp_path: Path) -> None:
    blender(tmp_path, {"train": 2, "test": 3})
    (tmp_path / "test" / "r_1.png").unlink()
    cameras = load_cameras(tmp_path)
    assert [c.name for c in cameras] == ["test/r_0", "test/r_1", "test/r_2"]
    assert {(c.camera.width, c.camera.height) for c in cameras} == {(W, H)}
    for step in (0, 2):
        (tmp_path / "test" / f"r_{step}.png").unlink()
    with pytest.raises(InputError, match="gives no picture size and its picture is not there"):
        load_cameras(tmp_path)
    again = load_cameras(tmp_path, default_size=(60, 40))
    assert torch.allclose(again[1].camera.K[0, 0], 2 * cameras[1].camera.K[0, 0])


def test_what_has_no_poses(tmp_path: Path) -> None:
    empty, plain, video = tmp_path / "empty", tmp_path / "plain", tmp_path / "walk.mp4"
    empty.mkdir()
    write_png(plain / "a.png", picture(1))
    video.touch()
    messages = {
        empty: "holds no photos (JPEG, PNG, WebP, TIFF, HEIC, AVIF, BMP, GIF, PPM), no "
        "transforms.json and no COLMAP model",
        plain: "has photos without poses: no transforms.json and no COLMAP model; run `tondo "
        "prepare` on it first",
        video: "has no poses: expected a transforms.json or a COLMAP model; for a video or photos "
        "run `tondo prepare` first",
    }
    for source, message in messages.items():
        assert not has_poses(source)
        with pytest.raises(InputError) as caught:
            load_photos(source, max_size=None)
        assert str(caught.value) == f"{source} {message}"
    for reader in (has_poses, lambda path: load_photos(path, max_size=None)):
        with pytest.raises(InputError, match="there is no file or folder"):
            reader(tmp_path / "none")


def test_too_few_photos(tmp_path: Path) -> None:
    path = transforms(tmp_path, 1)
    with pytest.raises(InputError) as caught:
        load_photos(path, max_size=None)
    assert str(caught.value) == (
        f"{path} has 1 photo that can be used, 0 skipped: at least 2 are needed"
    )
    assert len(load_photos(path, max_size=None, holdout=0, min_photos=1).train) == 1
    transforms(tmp_path, 2)
    with pytest.raises(InputError) as caught:
        load_photos(path, max_size=None)
    assert str(caught.value) == (
        f"{path} leaves 1 photo for training and 1 for testing: take more photos, or `holdout=0`"
    )
    broken = tmp_path / "images"
    for step in range(2):
        (broken / f"{step:02d}.png").write_bytes(bytes(50))
    with pytest.raises(InputError, match=r"has 0 photos that can be used, 2 skipped: .*00\.png"):
        load_photos(path, max_size=None)


@pytest.mark.parametrize(("holdout", "max_size"), [(-1, None), (1, None), (8, 0)])
def test_options_that_cannot_be_used(tmp_path: Path, holdout: int, max_size: int | None) -> None:
    transforms(tmp_path, 3)
    with pytest.raises(OptionError, match="must be"):
        load_photos(tmp_path, max_size=max_size, holdout=holdout)


def test_fox(shared_data: Path) -> None:
    found = load_photos(shared_data / "fox", max_size=480)
    assert names(found.test) == ["0001", "0012", "0027", "0042", "0073", "0089", "0110"]
    assert (len(found.train), len(found.skipped)) == (43, 17)
    assert {tuple(p.image.shape) for p in found.train + found.test} == {(480, 270, 3)}
    photo = found.train[0]
    assert photo.valid is not None
    assert 0.95 < photo.valid.float().mean() < 1
    assert torch.allclose(photo.camera.K[:2, 2], torch.tensor([277.279, 482.634]) / 2)
    assert len(load_cameras(shared_data / "fox" / "transforms.json")) == 67
    assert not found.is_render


def test_chair(shared_data: Path) -> None:
    found = load_photos(shared_data / "chair", max_size=400)
    assert (len(found.train), len(found.test), found.skipped) == (100, 25, ())
    assert found.is_render
    photo = next(p for p in found.train if p.name == "train/r_0.png")
    stored = read_image(shared_data / "chair" / "train" / "r_0.png")
    assert torch.equal(photo.image, stored.rgb)
    assert photo.alpha is not None
    assert stored.alpha is not None
    assert torch.equal(photo.alpha, stored.alpha)


def test_sceaux_has_no_poses(shared_data: Path) -> None:
    assert not has_poses(shared_data / "sceaux")

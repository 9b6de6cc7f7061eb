from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from tondo.errors import InputError, OutputError
from tondo.io.video import read_frames, write_video

H, W = 62, 90


def frame(step: int, *, sharp: bool) -> Tensor:
    """A colour that tells the step, over a fine or a blurred pattern in one corner."""
    picture = torch.full((H, W, 3), 20 * step + 10, dtype=torch.uint8)
    if sharp:
        picture[:32, :32][(torch.arange(32)[:, None] // 4 + torch.arange(32) // 4) % 2 == 0] = 255
    return picture


def test_the_sharpest_frame_of_each_stretch(tmp_path: Path) -> None:
    path = tmp_path / "walk.mp4"
    sharp = {1, 5, 6, 11}
    write_video(path, (frame(step, sharp=step in sharp) for step in range(12)), fps=24)
    found = list(read_frames(path, 4))
    assert [int(name.removeprefix("frame_")) for name, _ in found] == sorted(sharp)
    for name, data in found:
        assert data.rgb.shape == (H, W, 3)
        assert data.alpha is None
        colour = 20 * int(name[-2:]) + 10
        assert (data.rgb[50, 70].int() - colour).abs().max() <= 4


def test_a_short_video_gives_each_frame_once(tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    write_video(path, [frame(step, sharp=True) for step in range(3)], fps=7.5)
    assert [name for name, _ in read_frames(path, 50)] == [f"frame_00000{i}" for i in range(3)]


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    colour = torch.tensor([200, 30, 90], dtype=torch.uint8)
    write_video(path, [colour.expand(32, 48, 3)] * 2, fps=30)
    ((_, data),) = read_frames(path, 1)
    assert (data.rgb.int() - colour.int()).abs().max() <= 2


def test_players_can_show_it(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    write_video(path, [frame(1, sharp=True)[:-1, :-1]] * 2, fps=25)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (W - 2, H - 2)
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == 25


def test_what_is_no_video(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video\n" * 40)
    with pytest.raises(InputError, match=r"notes\.mp4 is not a video that can be decoded"):
        list(read_frames(text, 3))
    with pytest.raises(InputError, match="there is no video file"):
        list(read_frames(tmp_path / "none.mp4", 3))
    with pytest.raises(ValueError, match="count must be at least 1"):
        list(read_frames(text, 0))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(InputError, match="has no video stream"):
        list(read_frames(path, 3))


def test_nothing_is_left_of_a_failed_video(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(ValueError, match="another size"):
        write_video(path, [frame(0, sharp=True), frame(1, sharp=True)[:30]], fps=10)
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(path, [], fps=10)
    with pytest.raises(ValueError, match="uint8"):
        write_video(path, [torch.zeros(H, W, 3, dtype=torch.int64)], fps=10)
    with pytest.raises(ValueError, match="fps"):
        write_video(path, [frame(0, sharp=True)], fps=0)
    with pytest.raises(OutputError, match="its ending must be"):
        write_video(tmp_path / "out.png", [frame(0, sharp=True)], fps=10)
    assert not list(tmp_path.iterdir())

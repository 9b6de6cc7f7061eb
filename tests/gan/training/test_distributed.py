"""Several processes train as one process does with the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import parallel_setback
import parallel_steps
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from run_events import read_events
from tondo.cli.main import main
from tondo.errors import OptionError
from tondo.gan.networks.discriminator import GROUP
from tondo.runs import distributed
from tondo.runs.events import Note

# A step of Adam moves a weight by 5e-4 (D) or 2e-3 (G): what does not take part shows.
TOLERANCE = 2e-5


def by_two(words: list[str]) -> None:
    """Run Python with `words` in two processes that torchrun starts."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = subprocess.run(
        [sys.executable, *start, *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert found.returncode == 0, found.stderr


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `parallel_steps` left what it did, alone and by two."""
    out = tmp_path_factory.mktemp("parallel")
    for cameras in parallel_steps.CAMERAS:
        parallel_steps.two_steps(out / cameras / "one", cameras)
    by_two([parallel_steps.__file__, str(out)])
    return out


@pytest.fixture(params=parallel_steps.CAMERAS)
def states(steps: Path, request: pytest.FixtureRequest) -> dict[str, dict[str, Tensor]]:
    """The states after two steps with cameras of one kind: of one process, and of the first and
    second of two."""
    out = steps / request.param
    return {
        name: {
            **safetensors.torch.load_file(out / name / "state.safetensors"),
            "reports": _numbers(out / name / "reports.json"),
        }
        for name in ("one", "0", "1")
    }


def _numbers(path: Path) -> Tensor:
    reports = json.loads(path.read_text())
    return torch.tensor([list(report.values()) for report in reports], dtype=torch.float64)


def test_two_processes_agree_with_one_of_the_whole_batch(
    states: dict[str, dict[str, Tensor]],
) -> None:
    one, two = states["one"], states["0"]
    assert one.keys() == two.keys()
    assert float(one["reports"][:, 2].abs().min()) > 0.1  # the loss of D
    torch.testing.assert_close(two["reports"], one["reports"], rtol=2e-4, atol=2e-4)
    for name, tensor in one.items():
        if name != "reports":
            # the mean: where a gradient is all rounding, Adam may step either way
            apart = float((two[name].double() - tensor.double()).abs().mean())
            large = float(tensor.double().abs().mean())  # moments of large gradients round too
            assert apart < TOLERANCE * max(1.0, large), name


def test_the_two_stay_the_same_bit_for_bit(states: dict[str, dict[str, Tensor]]) -> None:
    for name, tensor in states["0"].items():
        if name.startswith("reports"):
            continue  # gradient norms are summed in each for itself
        assert torch.equal(states["1"][name], tensor), name


def test_nothing_of_the_others_is_left_when_a_process_ends(steps: Path) -> None:
    for rank in (0, 1):
        left = json.loads((steps / f"threads-{rank}.json").read_text())
        assert not [name for name in left if "gloo" in name]


def blocks_in(folder: Path) -> Path:
    """Twenty pictures of coloured blocks."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for k in range(20):
        blocks = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(blocks).resize((32, 32), Image.Resampling.NEAREST)
        picture.save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs that went back once, `one` of a single process and `two` of two."""
    folder = tmp_path_factory.mktemp("trained")
    pictures = blocks_in(folder / "pictures")
    for name in ("one", "two"):
        words = ["train", str(pictures), "-o", str(folder / name), "--size", "32", "--seed", "1"]
        words += ["--batch", "8", "--kimg", "0.016", "--checkpoint-seconds", "1000"]
        words += ["--threads", "1"]  # another number of threads is another rounding
        if name == "two":
            by_two([parallel_setback.__file__, *words])
        else:
            with pytest.MonkeyPatch.context() as patch:
                parallel_setback.make_ill(patch.setattr)
                assert main(words) == 0
    return folder


def test_two_go_back_together_and_end_as_one_process_does(trained: Path) -> None:
    found = {}
    for name in ("one", "two"):
        run = trained / name
        events = read_events(run / "events.jsonl")
        assert json.loads((run / "metrics.json").read_text())["steps"] == 2
        assert [e.message for e in events if isinstance(e, Note)] == ["a made-up illness"]
        found[name] = safetensors.torch.load_file(run / "generator.safetensors")
    assert found["one"].keys() == found["two"].keys()
    for name, tensor in found["one"].items():
        apart = float((found["two"][name].double() - tensor.double()).abs().mean())
        assert apart < 10 * TOLERANCE, name  # three steps in which rounding grows


def test_a_training_by_two_goes_on_alone_and_by_two_again(trained: Path) -> None:
    run = trained / "two"
    words = ["train", str(trained / "pictures"), "-o", str(run), "--resume", "--kimg"]
    assert main([*words, "0.032"]) == 0
    assert json.loads((run / "metrics.json").read_text())["kimg"] == 0.032
    by_two(["-m", "tondo", *words, "0.048"])
    assert json.loads((run / "metrics.json").read_text())["kimg"] == 0.048
    assert not list(run.rglob("*.tmp*"))


def test_alone_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    distributed.start()
    rows = torch.arange(12)
    assert distributed.processes() == 1
    assert distributed.is_first()
    assert torch.equal(distributed.shard(rows, GROUP), rows)
    assert distributed.broadcast_float(3.5) == 3.5
    distributed.check_batch(5, 1, GROUP)
    distributed.stop()


def test_parts_keep_the_groups_of_the_spread_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "processes", lambda: 3)
    found = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        found.append(distributed.shard(torch.arange(24), GROUP))
    assert found[1].tolist() == [2, 3, 8, 9, 14, 15, 20, 21]
    assert sorted(torch.cat(found).tolist()) == list(range(24))
    with pytest.raises(OptionError, match=r"`batch=16` .* multiple of 12"):
        distributed.check_batch(16, 1, GROUP)

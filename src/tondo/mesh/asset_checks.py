"""Whether what was written is what its use needs."""

from __future__ import annotations

from pathlib import Path

from tondo.data.mesh import Mesh
from tondo.data.textured import TexturedMesh
from tondo.mesh.check import WALL_QUANTILE, PrintCheck, print_check
from tondo.mesh.presets import PRESETS, Preset

LONGEST_MM = 100.0  # of a print, for which a wall is told in millimetres: a hand's width; chosen
# What printers make: 0.4 mm is the usual nozzle, and a wall is two lines of it (docs/assets.md).
LEAST_WALL_MM = 0.8


def purpose_checks(purpose: str, model: Mesh | TexturedMesh, path: Path) -> tuple[str, ...]:
    """Sentences on what a use needs of a model, and whether it has that.

    Args:
        purpose: a name of `PRESETS`.
        path: its file.
    """
    preset = PRESETS[purpose]
    mesh = model.mesh if isinstance(model, TexturedMesh) else model
    found = _limits(preset, mesh, path)
    if preset.printable:
        found += _print(print_check(mesh), mesh.world_from_scene.scale)
    if preset.size != "none" and not isinstance(model, TexturedMesh):
        found.append("no texture")
    out = [f"{purpose}: {'; '.join(found)}"] if found else []
    return (*out, preset.note) if preset.note is not None else tuple(out)


def _limits(preset: Preset, mesh: Mesh, path: Path) -> list[str]:
    found, count = [], len(mesh.faces)
    if preset.most_faces is not None:
        word = "of at most" if count <= preset.most_faces else "and that is more than"
        found.append(f"{count:,} triangles {word} {preset.most_faces:,}")
    if preset.most_bytes is not None:
        size, most = path.stat().st_size, preset.most_bytes
        if size <= most:
            found.append(f"{size / 1e6:.1f} MB of at most {most / 1e6:.0f} MB")
        else:
            found.append(
                f"{size / 1e6:.1f} MB, more than {most / 1e6:.0f} MB: choose a smaller `size` or "
                "fewer `faces`"
            )
    return found


def _print(found: PrintCheck, scale: float) -> list[str]:
    state = found.defects
    closed = (
        "watertight" if not state.open_edges else f"NOT watertight ({state.open_edges:,} edges)"
    )
    crowded = state.crowded_edges + state.pinched_vertices
    said = [closed, "manifold" if not crowded else f"NOT a manifold ({crowded:,} places)"]
    if found.inside_out:
        said.append("inside out")
    said.append("1 part" if found.parts == 1 else f"{found.parts:,} parts")
    size = f"the scene has no unit: its longest side is {scale * found.longest:.4g} units"
    if found.wall is not None:
        return [", ".join(said), _wall(found.wall, found.longest, scale), size]
    if not state.open_edges and not found.inside_out:
        said.append("no thin walls")
    return [", ".join(said), size]


def _wall(wall: float, longest: float, scale: float) -> str:
    in_print = wall / longest * LONGEST_MM
    text = (
        f"the thinnest {WALL_QUANTILE:.0%} of its walls are thinner than {scale * wall:.3g} units, "
        f"{wall / longest:.2%} of its longest side, which is {in_print:.2g} mm of "
        f"{LONGEST_MM:.0f} mm"
    )
    if in_print < LEAST_WALL_MM:
        needed = LEAST_WALL_MM / wall * longest
        text += f" (printers need {LEAST_WALL_MM:g} mm: print it {needed:.0f} mm long or more)"
    return text

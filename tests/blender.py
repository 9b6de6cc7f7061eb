"""What Blender makes of a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BLENDER = """
import json, sys
import numpy
if not hasattr(numpy, "bool"):
    numpy.bool = bool  # Debian pairs Blender 3.4 with a NumPy newer than its glTF importer knows
import bpy
path = sys.argv[sys.argv.index("--") + 1]
bpy.ops.wm.read_factory_settings(use_empty=True)
ending = path.rsplit(".", 1)[1]
if ending == "glb":
    bpy.ops.import_scene.gltf(filepath=path)
elif ending == "obj":
    bpy.ops.wm.obj_import(filepath=path)
elif hasattr(bpy.ops.wm, ending + "_import"):
    getattr(bpy.ops.wm, ending + "_import")(filepath=path)
else:
    getattr(bpy.ops.import_mesh, ending)(filepath=path)
(thing,) = [o for o in bpy.data.objects if o.type == "MESH"]
points = [list(thing.matrix_world @ v.co) for v in thing.data.vertices]
colors = {}
for layer in thing.data.color_attributes:
    owner = range(len(points))
    if layer.domain == "CORNER":
        owner = [loop.vertex_index for loop in thing.data.loops]
    for i, vertex in enumerate(owner):
        colors[vertex] = list(layer.data[i].color_srgb)
images = {}  # what each picture is for, by the socket of the material that it reaches
for slot in thing.material_slots:
    for node in slot.material.node_tree.nodes:
        if node.type == "TEX_IMAGE" and node.image is not None:
            ends, left = [], [node]
            while left:
                for link in (link for out in left.pop().outputs for link in out.links):
                    ends.append(link.to_socket.name)
                    left.append(link.to_node)
            images[node.image.name] = {"size": list(node.image.size), "ends": ends,
                                       "space": node.image.colorspace_settings.name}
layer = thing.data.uv_layers.active
import bmesh
whole = bmesh.new()
whole.from_mesh(thing.data)
print("RESULT" + json.dumps({"points": points, "faces": len(thing.data.polygons),
                             "volume": whole.calc_volume(signed=True),
                             "materials": len(thing.material_slots), "images": images,
                             "uv_layers": len(thing.data.uv_layers),
                             "uvs": [list(one.uv) for one in layer.data] if layer else [],
                             "loops": [loop.vertex_index for loop in thing.data.loops],
                             "open": sum(not edge.is_manifold for edge in whole.edges),
                             "colors": [colors[i] for i in sorted(colors)]}))
"""


def _python_with_bpy() -> str | None:
    """The Python of the environment that `make test` makes for Blender, where it could."""
    python = Path(sys.prefix) / "blender" / "bin" / "python"
    if not python.exists():
        return None
    tried = subprocess.run([python, "-c", "import bpy"], capture_output=True, timeout=100)
    return str(python) if tried.returncode == 0 else None


def in_blender(path: Path, script: str = BLENDER) -> Any:
    """What Blender has after it imported the file, or what another script finds there; skips where
    there is no Blender."""
    place = path.parent / "look.py"
    place.write_text(script)
    program, module = shutil.which("blender"), _python_with_bpy()
    if module:
        command = [module, str(place), "--", str(path)]
    elif program:
        command = [program, "-b", "--factory-startup", "-P", str(place), "--", str(path)]
    else:
        pytest.skip("needs Blender: neither `blender` nor bpy is here")
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=env)
    if "No module named 'numpy'" in done.stderr + done.stdout:
        pytest.skip("this Blender has no numpy, which its importers need")
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert lines, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(lines[0].removeprefix("RESULT"))

"""Pictures of a scene of any kind."""

from __future__ import annotations

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.splats import Scene
from tondo.data.views import View
from tondo.nerf.render import render_field
from tondo.scenes.exposure import predicted_exposure
from tondo.splats.render import render_splats


def render(
    scene: Scene | FieldScene,
    camera: Camera,
    *,
    with_normals: bool = False,
    exposed: bool = False,
    quick: bool = False,
) -> View:
    """Render one picture of `scene` as `camera` sees it.

    Args:
        with_normals: fill `View.normals` too.
        exposed: as bright as a photo from there would be (`exposure.predicted_exposure`), where
            exposures were fitted; otherwise with the mean exposure of the photos.
        quick: of a field in half the time, and a little coarser.

    Returns:
        The picture with the scene's background behind it, colour clamped to 0..1.

    Example:
        >>> import tondo
        >>> scene, photos = tondo.load_scene("run"), tondo.load_photos("photos")
        >>> view = tondo.render(scene, photos.test[0].camera, with_normals=True)
        >>> view.color.shape, view.depth.shape, view.normals.shape
        (torch.Size([56, 72, 3]), torch.Size([56, 72]), torch.Size([56, 72, 3]))
    """
    exposure = None
    if exposed and scene.exposures is not None:
        exposure = predicted_exposure(scene.exposures, camera.viewmat)
    if isinstance(scene, FieldScene):
        return render_field(
            scene, camera, with_normals=with_normals, exposure=exposure, quick=quick
        )
    return render_splats(scene, camera, with_normals=with_normals, exposure=exposure)

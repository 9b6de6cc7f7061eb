"""Maps of the sphere, and splats shaded by the picture of a lit sphere."""

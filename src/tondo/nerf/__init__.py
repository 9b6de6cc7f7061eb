"""Neural radiance fields: photographs become light and density in space."""

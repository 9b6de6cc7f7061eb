"""Meshes against photographs: what their masks leave out, and where patches agree."""

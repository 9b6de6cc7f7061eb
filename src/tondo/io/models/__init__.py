"""Splats, fields and meshes as files."""

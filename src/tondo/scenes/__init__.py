"""Scenes of any kind: made from photographs, shown, measured, turned into meshes."""

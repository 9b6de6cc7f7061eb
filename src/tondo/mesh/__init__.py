"""Meshes from depth and density: fused, extracted, cleaned, simplified, coloured."""

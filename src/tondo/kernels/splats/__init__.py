"""Gaussian splats: projection, rasterisation, depth."""

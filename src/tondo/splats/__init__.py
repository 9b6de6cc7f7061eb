"""Gaussian splats as a method of reconstruction."""

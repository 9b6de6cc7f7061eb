"""Generators of 3D things: learned from pictures, sampled, edited, inverted, measured."""

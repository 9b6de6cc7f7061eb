"""Radiance fields: rays through hash grids, planes and networks of frequencies."""

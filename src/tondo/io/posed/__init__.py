"""Photographs with poses, as the many programs write them."""

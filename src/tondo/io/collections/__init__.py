"""Collections of pictures: folders, zips, CelebA, prepared sets."""

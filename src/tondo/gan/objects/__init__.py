"""What a generator makes, as pictures, splats and meshes; and losses on its geometry."""

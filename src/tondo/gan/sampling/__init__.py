"""New objects from a trained generator, and directions to move them along."""

"""The networks: mapping, generator, discriminators, and how latent codes are distributed."""

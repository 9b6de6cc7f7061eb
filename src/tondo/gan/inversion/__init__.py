"""From one photograph to the latent code that makes it."""

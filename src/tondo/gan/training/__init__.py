"""Training: one step, its losses, its state, and a run from pictures to a generator."""

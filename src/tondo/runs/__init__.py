"""What every run has: a folder, a clock, events, checkpoints, pictures, an end."""

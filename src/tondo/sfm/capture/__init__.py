"""How the photos were taken, as numbers, drawings and advice."""

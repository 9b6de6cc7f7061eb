"""Picture collections become training sets."""

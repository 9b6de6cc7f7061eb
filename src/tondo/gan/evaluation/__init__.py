"""A trained generator measured: against pictures, and as geometry."""

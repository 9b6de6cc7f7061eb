"""Pure functions of places, directions, cameras and triangles."""

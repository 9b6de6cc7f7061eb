"""Features, matches, poses, and the checks of what came out."""

"""One operation a file: the torch twin, which defines it, and the dispatch to native code."""

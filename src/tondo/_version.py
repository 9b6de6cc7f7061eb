"""The version, which needs nothing else of this package."""

__version__ = "0.1.0"

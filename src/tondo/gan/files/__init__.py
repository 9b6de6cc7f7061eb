"""Generators and adapters as files, and finding one by name."""

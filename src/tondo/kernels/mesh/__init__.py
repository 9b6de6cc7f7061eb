"""Surfaces against photographs."""

"""Pretrained networks that turn pictures into features."""

"""What `import tondo` offers beyond single rooms: each command of the command line is one call."""

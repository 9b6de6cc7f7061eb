"""Things made by code, and their photographs."""

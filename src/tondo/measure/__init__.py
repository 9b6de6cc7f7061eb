"""How close a scene is to photos and scans, in numbers and in pictures."""

"""Photos as they come: gathered, their EXIF, their sharpness, what is no photo of a pinhole."""

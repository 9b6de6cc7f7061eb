"""What is measured: pictures against photos, points against a scan, pictures against pictures."""

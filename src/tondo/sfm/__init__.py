"""Structure from motion: photos without poses become posed images."""

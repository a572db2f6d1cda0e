"""What spares an original its copy."""

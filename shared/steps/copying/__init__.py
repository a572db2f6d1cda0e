"""From an original to a proven copy."""

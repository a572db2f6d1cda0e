"""Delete retired originals."""

"""Time stamp authorities (RFC 3161)."""

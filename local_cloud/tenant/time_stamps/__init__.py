"""A time stamp authority (RFC 3161), which signs when data existed."""

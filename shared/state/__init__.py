"""The rows that the app stores: their format, their tables and their indexes."""

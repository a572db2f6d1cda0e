"""Read what an assessment says; nothing is written."""

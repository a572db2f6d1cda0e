"""Read the facts of an assessment. Nothing is written to the platform."""

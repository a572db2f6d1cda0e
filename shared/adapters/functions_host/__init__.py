"""The Functions host that runs the app."""

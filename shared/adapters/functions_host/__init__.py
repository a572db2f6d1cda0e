"""Adapters for the Functions host that runs the app."""

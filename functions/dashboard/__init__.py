"""Render the pages of the dashboard."""

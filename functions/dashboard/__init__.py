"""Render the dashboard: actions required, remediations, plans and flows."""

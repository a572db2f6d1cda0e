"""Edits that spare a flow its copy: the V1 trigger and the V1 action in their second version."""

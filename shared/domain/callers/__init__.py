"""Callers: places that hold a trigger URL or a flow's id, and the app's changes of them."""

"""Places that hold a trigger URL or a flow's id, and what was changed in them."""

"""From any step of a flow job back to the original alone."""

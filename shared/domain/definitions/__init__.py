"""Parse flows' definitions: triggers, actions and connections. Compare and change definitions."""

"""Parse a flow's definition: triggers, actions and connections, and compare two definitions."""

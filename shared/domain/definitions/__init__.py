"""What a flow's definition says: triggers, actions, connections, and how two of them differ."""

"""Jobs: their rows, states and transitions, and the rules for dependent jobs."""

"""What a key means for an environment, before and after it."""

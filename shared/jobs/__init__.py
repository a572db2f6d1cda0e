"""Run durable jobs: the row is the state, and a message only says which row to read."""

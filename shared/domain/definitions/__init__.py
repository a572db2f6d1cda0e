"""Parse, compare and change the definitions of flows."""

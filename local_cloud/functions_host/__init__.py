"""The Functions host of the local cloud: drives Microsoft's Python worker as Azure does."""

"""The Functions host of the local cloud, which runs Microsoft's Python worker as Azure does."""

"""Archive the runs of a retired original and delete it."""

"""Read and write flows, for several kinds of steps."""

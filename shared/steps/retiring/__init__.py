"""From updated callers to a retired original, or from a verified copy to a cutover."""

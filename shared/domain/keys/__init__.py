"""Whether a key, its policy and its environments are fit."""

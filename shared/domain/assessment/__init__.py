"""Rules of the assessment: what a key does to an environment, before and after it is applied."""

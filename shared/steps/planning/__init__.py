"""Plan an environment: discover, plan, compare with the approval, start flow jobs."""

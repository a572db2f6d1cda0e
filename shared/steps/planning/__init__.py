"""From an environment to approved flow jobs: discover, plan, compare, dispatch."""

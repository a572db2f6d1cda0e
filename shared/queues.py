"""Names of the queues that infra/ creates."""

KEY_EVENTS = "key-events"
POLICY_EVENTS = "policy-events"
ENVIRONMENT_JOBS = "environment-jobs"
FLOW_JOBS = "flow-jobs"
POISON = "poison"

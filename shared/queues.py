"""Name the queues that infra/ creates, and the message properties for traces."""

KEY_EVENTS = "key-events"
POLICY_EVENTS = "policy-events"
ENVIRONMENT_JOBS = "environment-jobs"
FLOW_JOBS = "flow-jobs"
POISON = "poison"

#: The W3C traceparent of the trace that a message belongs to.
TRACEPARENT = "traceparent"
#: The same; the Functions host reads it under this name.
DIAGNOSTIC_ID = "Diagnostic-Id"
#: The traceparent of an older trace, to which the new one of this message links.
TRACE_LINK = "trace-link"

"""Format a notification as a CloudEvent 1.0 in JSON."""

from typing import Any

from shared.domain.plans.notification import Notification

_TYPE = "CmkFlow.ActionRequired"
_SOURCE = "/cmk-flow-remediation"
#: Bytes to read of a channel's response: enough for an error message.
LONGEST_ANSWER = 16_384


def build_cloud_event(notification: Notification) -> dict[str, Any]:
    """Return the CloudEvent of a notification, without secrets."""
    waiting = notification.pending_action
    return {
        "specversion": "1.0",
        "id": notification.id,
        "source": _SOURCE,
        "type": f"{_TYPE}.{waiting.kind.title().replace('_', '')}",
        "subject": waiting.environment_id or waiting.kind,
        "time": notification.created_at.isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "title": waiting.title,
            "kind": waiting.kind,
            "reason_code": waiting.reason_code,
            "count": waiting.count,
            "environmentId": waiting.environment_id,
            "environmentName": waiting.environment_name,
            "remediationId": waiting.remediation_id,
            "flows": list(waiting.flows),
            "more_flow_count": max(waiting.count - len(waiting.flows), 0) if waiting.flows else 0,
            "message": waiting.message,
            "fix": waiting.fix,
            "next_command": waiting.next_command,
            "actor": waiting.actor,
            "recipients": list(notification.recipients),
            "pending_since": waiting.pending_since.isoformat() if waiting.pending_since else None,
            "expires_at": waiting.expires_at.isoformat() if waiting.expires_at else None,
            "link": notification.link,
            "flow_links": list(notification.flow_links),
            "correlationId": notification.correlation_id,
        },
    }

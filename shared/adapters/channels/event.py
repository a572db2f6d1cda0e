"""Format a notification as a CloudEvent 1.0 in JSON."""

from typing import Any

from shared.domain.plans.notification import Notification
from shared.domain.plans.notification_text import describe_flows

_TYPE = "CmkFlow.ActionRequired"
_SOURCE = "/cmk-flow-remediation"
#: Bytes to read of a channel's response: enough for an error message.
LONGEST_ANSWER = 16_384


def cloud_event(notification: Notification) -> dict[str, Any]:
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
            "pending_since": waiting.pending_since.isoformat() if waiting.pending_since else None,
            "expires_at": waiting.expires_at.isoformat() if waiting.expires_at else None,
            "link": notification.link,
            "text": plain_text(notification),
            "correlationId": notification.correlation_id,
        },
    }


def plain_text(notification: Notification) -> str:
    """Return the body of an e-mail, of which the title is the subject."""
    waiting = notification.pending_action
    expires = f"{waiting.expires_at:%Y-%m-%d %H:%M} UTC" if waiting.expires_at else ""
    facts = {
        "Flows": describe_flows(waiting),
        "Reason": waiting.message,
        "What to do": waiting.fix,
        "Expires": expires,
        notification.link_title: notification.link,
    }
    lines = [f"{waiting.title}.", *(f"{name}: {text}" for name, text in facts.items() if text)]
    return "\n\n".join(lines)

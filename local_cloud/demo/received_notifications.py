"""Configure the demo's receivers of notifications, their faults, and what they must receive."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local_cloud.demo.definitions import derive_id

type Json = dict[str, Any]

_WEBHOOK_SECRET = "whsec_YSBzZWNyZXQgb2YgMzIgYnl0ZXMsIGFzIGl0IHNheXM="
_CHANNEL_SIGNATURE = "dGhlIGNoYW5uZWwgb2YgdGhlIG9wZXJhdG9ycywgbG9jYWw"
#: The receivers, with the people who read them.
PEOPLE = {
    "event_grid": "Event Grid topic: the ticket system",
    "webhook": "webhook: the on-call phone",
    "teams": "Teams: the operators' channel",
}
#: The webhook accepts a notification, but its answer is lost, so the app sends it again with the
#: same id. It does so only while its reason lasts, so the plan is approved after that.
LOST_ANSWER: Json = {"route": "webhook.receive_webhook", "kind": "drop_after"}
#: Beginnings of the titles that each receiver must get in the scenario.
_EXPECTED = (
    "A plan for ",
    r"\d flows? blocked in Operations",
    "The remediation in Operations is complete",
)
_REJECTED = "notification rejected | "


def build_receivers() -> Json:
    return {"webhookSecret": _WEBHOOK_SECRET, "channelSignature": _CHANNEL_SIGNATURE}


def build_faults() -> list[Json]:
    """Return faults that fail or delay the first notifications; the app sends them again."""
    return [
        {"route": "event_grid.publish_events", "status": 503},
        {"route": "teams.post_card", "status": 429, "headers": {"Retry-After": "3"}},
        {"route": "teams.post_card", "kind": "delay", "delay": 6.0},
    ]


def build_channel_settings() -> dict[str, str]:
    host = "teams-channel.environment.api.powerplatform.com"
    workflow = derive_id("channel", "webhook").replace("-", "")
    return {
        "CMK_EVENT_GRID_TOPIC": "https://contoso-events.westeurope-1.eventgrid.azure.net/api/events",
        "CMK_WEBHOOK": "https://hooks.contoso.example/cmk-flow",
        "CMK_WEBHOOK_SECRET": _WEBHOOK_SECRET,
        "CMK_TEAMS_WEBHOOK": (
            f"https://{host}:443/powerautomate/automations/direct/workflows/{workflow}/triggers"
            "/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0"
            f"&sig={_CHANNEL_SIGNATURE}"
        ),
        "CMK_NOTIFICATION_GROUPING_PERIOD": "PT4S",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedNotification:
    at: str
    receiver: str
    #: Empty if the receiver rejected the notification without reading it.
    title: str = ""
    #: Whether a notification with the same id had arrived before.
    is_repeated: bool = False
    #: Why it was rejected, from the app's log. The app sends it again.
    why: str = ""

    @property
    def to(self) -> str:
        return PEOPLE.get(self.receiver, self.receiver)


def list_notifications(received: Sequence[Json], log: str) -> list[ReceivedNotification]:
    """Return the attempts to send a notification, oldest first.

    The tenant knows the received ones; the app's log has those that a receiver rejected.
    """
    found = [
        ReceivedNotification(
            at=one["at"][11:19],
            receiver=one["receiver"],
            title=one["title"],
            is_repeated=one["is_repeated"],
        )
        for one in received
        if not one["refusal"]
    ]
    for line in log.splitlines():
        if _REJECTED in line:
            record = json.loads(line)
            fields = json.loads(record["message"].partition(_REJECTED)[2])
            found.append(
                ReceivedNotification(
                    at=record["time"][11:19], receiver=fields["channel"], why=fields["text"]
                )
            )
    return sorted(found, key=lambda one: one.at)


def has_plan_notification(received: Sequence[Json]) -> bool:
    heard = {one["receiver"] for one in received if one["title"].startswith(_EXPECTED[0])}
    return PEOPLE.keys() <= heard and any(one["is_repeated"] for one in received)


def find_missing_notifications(
    received: Sequence[Json], tries: Sequence[ReceivedNotification]
) -> list[str]:
    """Return a text for each notification that is missing or was wrongly rejected."""
    found = [
        f"{one['receiver']} refused a message: {one['refusal']}"
        for one in received
        if one["refusal"]
    ]
    for receiver, people in PEOPLE.items():
        titles = [one.title for one in tries if one.receiver == receiver]
        found += [
            f"{people}: no notification {title!r}"
            for title in _EXPECTED
            if not any(re.match(title, one) for one in titles)
        ]
        if "" not in titles:
            found.append(f"{people}: no notification was rejected and sent again")
    if not any(one.is_repeated for one in tries):
        found.append("no notification was received twice, although an answer was lost")
    return found

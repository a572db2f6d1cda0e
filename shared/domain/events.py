"""Read events as they come over Service Bus: Event Grid's schema or CloudEvents, bare or a list.

Keys and values come with stray spaces, ids in any case (platform.md#key-events, #resource-events):
all are trimmed. Whoever may send one may write a signature anywhere in it: none is taken in.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.trigger_urls.trigger_url import mask_signatures
from shared.errors import InvalidInput

#: Larger bodies are not parsed: Service Bus Standard itself stops at 256 KiB.
LARGEST_BODY = 256 * 1024
#: Ids are kept in rows.
LONGEST_ID = 1024


class UnreadableEvent(InvalidInput):
    """The text is no event that this app can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, whichever schema it came in."""

    id: str
    #: Such as `Microsoft.KeyVault.KeyNewVersionCreated`.
    type: str
    #: What sent it: `topic` or `source`, an Azure resource id.
    source: str
    subject: str
    data: Mapping[str, object] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a member of `data` as text, its name in any case; empty if it is not there."""
        for key, value in self.data.items():
            if key.lower() == name.lower() and isinstance(value, str | int | float):
                return str(value)
        return ""


def read_events(body: bytes | str) -> list[Event]:
    """Return the events of a message; raises `UnreadableEvent` with what is wrong."""
    size = len(body)
    if size > LARGEST_BODY:
        message = f"The body has {size} bytes; events have at most {LARGEST_BODY}."
        raise UnreadableEvent(message)
    try:
        text = body.decode("utf-8-sig") if isinstance(body, bytes) else body
        document = json.loads(text)
        json.dumps(document, ensure_ascii=False).encode()  # half a character can't be kept in rows
    except (ValueError, RecursionError) as err:
        message = f"The body is not JSON: {err}"
        raise UnreadableEvent(message) from err
    items = document if isinstance(document, list) else [document]
    if not items:
        message = "The body is an empty list."
        raise UnreadableEvent(message)
    return [_event(item) for item in items]


def _event(item: object) -> Event:
    if not isinstance(item, Mapping):
        message = f"An event is a JSON object, not {type(item).__name__}."
        raise UnreadableEvent(message)
    trimmed = _trimmed(item)
    if "specversion" in trimmed:
        kind, source = trimmed.get("type"), trimmed.get("source")
    else:
        kind, source = trimmed.get("eventType"), trimmed.get("topic")
    identity = trimmed.get("id")
    if not isinstance(kind, str) or not isinstance(identity, str) or not kind or not identity:
        message = "JSON, but no event: it has no id or no type (Event Grid or CloudEvents 1.0)."
        raise UnreadableEvent(message)
    if len(identity) > LONGEST_ID:
        message = f"The event's id has {len(identity)} characters; {LONGEST_ID} are allowed."
        raise UnreadableEvent(message)
    data = trimmed.get("data")
    return Event(
        id=identity,
        type=kind,
        source=source if isinstance(source, str) else "",
        subject=str(trimmed.get("subject") or ""),
        data=data if isinstance(data, dict) else {},
    )


def _trimmed(item: Mapping[object, object]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in item.items():
        if isinstance(value, str):
            value = mask_signatures(value.strip())
        elif isinstance(value, Mapping) and str(key).strip() == "data":
            value = _trimmed(value)
        result[str(key).strip()] = value
    return result

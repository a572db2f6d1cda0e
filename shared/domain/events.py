"""Parse events from Service Bus messages, in Event Grid's schema or as CloudEvents.

A message has one event or a list. Names and values may have spaces around them
(platform.md#key-events, #resource-events), so they are trimmed. Signatures in them are masked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.trigger_urls.signatures import mask_signatures
from shared.errors import InvalidInput

#: Larger bodies are not parsed; Service Bus Standard allows 256 KiB.
MAX_EVENT_BYTES = 256 * 1024
#: Ids are stored in rows.
LONGEST_ID = 1024


class UnreadableEvent(InvalidInput):
    """The text is not an event that the app can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that was read from a message, in Event Grid's schema or as a CloudEvent."""

    id: str
    #: For example `Microsoft.KeyVault.KeyNewVersionCreated`.
    type: str
    #: The sender's Azure resource id, from `topic` or `source`.
    source: str
    subject: str
    data: Mapping[str, object] = field(default_factory=dict)

    def get_text(self, name: str) -> str:
        """Return a text or number of `data` as text, or "" if there is none with this name.

        Ignores the case of the name.
        """
        for key, value in self.data.items():
            if key.lower() == name.lower() and isinstance(value, str | int | float):
                return str(value)
        return ""


def parse_events(body: bytes | str) -> list[Event]:
    """Parse the events of a message. Raises `UnreadableEvent` for any other body."""
    size = len(body)
    if size > MAX_EVENT_BYTES:
        message = f"The body has {size} bytes; events have at most {MAX_EVENT_BYTES}."
        raise UnreadableEvent(message)
    try:
        text = body.decode("utf-8-sig") if isinstance(body, bytes) else body
        document = json.loads(text)
        json.dumps(document, ensure_ascii=False).encode()  # rows cannot hold an unpaired surrogate
    except (ValueError, RecursionError) as err:
        message = f"The body is not JSON: {err}"
        raise UnreadableEvent(message) from err
    items = document if isinstance(document, list) else [document]
    if not items:
        message = "The body is an empty list."
        raise UnreadableEvent(message)
    return [_parse_event(item) for item in items]


def _parse_event(item: object) -> Event:
    if not isinstance(item, Mapping):
        message = "The body is not a JSON object, as an event is."
        raise UnreadableEvent(message)
    trimmed = _trim_and_mask_event(item)
    if "specversion" in trimmed:
        kind, source = trimmed.get("type"), trimmed.get("source")
    else:
        kind, source = trimmed.get("eventType"), trimmed.get("topic")
    identity = trimmed.get("id")
    if not isinstance(kind, str) or not isinstance(identity, str) or not kind or not identity:
        message = (
            "The JSON is not an event: it has no id or no type (Event Grid or CloudEvents 1.0)."
        )
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


def _trim_and_mask_event(item: Mapping[object, object]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in item.items():
        if isinstance(value, str):
            value = mask_signatures(value.strip())
        elif isinstance(value, Mapping) and str(key).strip() == "data":
            value = _trim_and_mask_event(value)
        result[str(key).strip()] = value
    return result

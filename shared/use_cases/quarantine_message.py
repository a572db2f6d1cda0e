"""Move a message that cannot be processed to the queue of poison messages."""

import hashlib
import json

from shared.domain.ids import hash_key
from shared.domain.trigger_urls.trigger_url import redact
from shared.logs.fields import get_product_log
from shared.ports import QueueMessage
from shared.queues import POISON
from shared.services import Services

log = get_product_log(__name__)

#: Maximum length of a stored body in JSON, so that the message fits into the queue.
LONGEST_BODY = 100_000


async def move_to_poison_queue(
    services: Services, *, queue: str, message_id: str, body: bytes | str, reason: str
) -> None:
    """Send the body of a message to the queue `poison`, with its source and the reason."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    await services.messages.send(
        QueueMessage(
            queue=POISON,
            message_id=f"poison/{hash_key(queue, message_id or digest)}",
            body={
                "queue": queue,
                "message_id": message_id,
                "reason": redact(reason),
                "body": _shorten_text(redact(text)),
                "sha256": digest,
                "length": len(text),
            },
        )
    )
    log.warning("message moved to poison queue", extra={"queue": queue, "text": reason})


def _shorten_text(text: str) -> str:
    """Return the beginning of a text that fits in a message, as JSON."""
    while (length := len(json.dumps(text))) > LONGEST_BODY:
        text = text[: len(text) * LONGEST_BODY // length]
    return text

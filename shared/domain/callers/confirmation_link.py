"""Sign and verify confirmation links."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import LinkRejected

#: How long a link is valid. A notification repeats each day with a new one.
LINK_LIFETIME = timedelta(days=30)
#: Signed with each link, so that no other signature of the same key is a link.
_PURPOSE = b"caller-confirmation:"
_ASK = "Open the link of the newest notification, or ask an operator to confirm the change."


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationLink:
    """What a link permits: to confirm the flows of one caller in one remediation."""

    caller_id: str
    remediation_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkKey:
    """The key that signs confirmation links."""

    name: str
    #: 64 hex digits.
    key: str


def sign_link(link: ConfirmationLink, key: LinkKey) -> str:
    """Return the signed token of a link, which is a part of its URL."""
    values = [link.caller_id, link.remediation_id, int(link.expires_at.timestamp())]
    content = json.dumps(values, separators=(",", ":")).encode()
    return f"{_encode_base64(content)}.{_encode_base64(_compute_signature(content, key))}"


def verify_link_token(token: str, key: LinkKey, now: datetime) -> ConfirmationLink:
    """Return what a token permits.

    Raises `LinkRejected` if it was not signed with `key`, or has expired.
    """
    content_text, _, signature_text = token.partition(".")
    try:
        content, signature = _decode_base64(content_text), _decode_base64(signature_text)
    except ValueError:
        content, signature = b"", b""
    if not hmac.compare_digest(signature, _compute_signature(content, key)):
        raise LinkRejected("This link is not valid for this app.", fix=_ASK)
    caller_id, remediation_id, expires_at = json.loads(content)
    link = ConfirmationLink(
        caller_id=caller_id,
        remediation_id=remediation_id,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )
    if link.expires_at <= now:
        raise LinkRejected(f"This link expired on {link.expires_at:%Y-%m-%d}.", fix=_ASK)
    return link


def _compute_signature(content: bytes, key: LinkKey) -> bytes:
    return hmac.digest(bytes.fromhex(key.key), _PURPOSE + content, hashlib.sha256)


def _encode_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode_base64(text: str) -> bytes:
    """Return the bytes of a text. Raises `ValueError` if it is not base64."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

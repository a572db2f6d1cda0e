"""Mask the signatures in a text, and restore them.

A trigger URL with its `sig` is a password (platform.md#secret-urls). Rows contain a caller's old
value with a marker and the SHA-256 in place of each signature. To revert a change, the app asks the
platform for the signature again and compares the hash.
"""

import re
from collections.abc import Mapping
from hashlib import sha256

from shared.errors import Conflict

#: The value of a signature in text: base64 or base64url, percent-encoded any number of times,
#: JSON-escaped; a dot or a tilde only inside, because a sentence may end with one.
SIGNATURE_VALUE = (
    r"(?:[A-Za-z0-9_+/=-]|[.~](?=[A-Za-z0-9_])"
    r"|%(?:25)*(?:2[BbFf]|3[Dd])|\\+u00(?:2[BbFf]|3[Dd])|\\+/)+"
)
#: `sig` starts a name unless a letter, digit or underscore is before it; an escaped `&` or `?` ends
#: in those too. The check is after the first letter, because a search for one letter is fast.
_NAME_START = (
    r"[Ss](?:(?<![A-Za-z0-9_].)|(?<=u0026.)|(?<=u003[Ff].)|(?<=%26.)|(?<=2526.)|(?<=%3[Ff].)"
    r"|(?<=253[Ff].))"
)
_EQUALS = (
    r"=|%(?P<nesting>(?:25)*)3[Dd]|\\+u003[Dd]|&#x3[Dd];|&#61;"
    # A JSON member, as in the `queries` of listCallbackUrl (platform.md#trigger-url-read).
    r"|\\*\"\s*:\s*\\*\""
)
_SIGNATURE = re.compile(rf"{_NAME_START}[Ii][Gg](?:{_EQUALS})(?P<value>{SIGNATURE_VALUE})")
_MARKER = re.compile(r"«sig:sha256:(?P<hash>[0-9a-f]{64})(?::(?P<level>[0-9]+))?»")


class SignatureChanged(Conflict):
    """A signature that a marker replaced is no longer known."""

    def __init__(self, signature_hash: str) -> None:
        super().__init__(
            f"The signature with SHA-256 {signature_hash[:12]}… is no longer known: the key of "
            "its flow was regenerated, or it is not a flow's. Compare it with the caller."
        )
        self.signature_hash = signature_hash


def hash_signature(signature: str) -> str:
    """Return the SHA-256 of a signature, as a URL contains it, in 64 hex digits."""
    return sha256(signature.encode()).hexdigest()


def mask_signatures(text: str) -> str:
    """Return the text with a marker in place of every `sig` value. The marker contains the value's
    SHA-256.

    Finds signatures in plain, JSON-escaped and percent-encoded URLs, and in JSON members named
    `sig`. Masking twice changes nothing.
    """
    if "sig" not in text.lower():  # fast path: most texts are long and contain none
        return text
    return _SIGNATURE.sub(_mask_signature, text)


def unmask_signatures(text: str, signatures: Mapping[str, str]) -> str:
    """Return the text with a signature in place of each marker.

    `signatures` has signatures by their SHA-256. Raises `SignatureChanged` if one is missing.
    """

    def restore_signature(marker: re.Match[str]) -> str:
        signature = signatures.get(marker["hash"])
        if signature is None or hash_signature(signature) != marker["hash"]:
            raise SignatureChanged(marker["hash"])
        return encode_percent_signs(signature, int(marker["level"] or 0))

    return _MARKER.sub(restore_signature, text)


def find_signatures(text: str) -> dict[str, str]:
    """Return every signature in a text, by its SHA-256."""
    found = (_decode_signature(match) for match in _SIGNATURE.finditer(text))
    return {hash_signature(signature): signature for signature, _ in found}


def encode_percent_signs(value: str, level: int) -> str:
    """Return the value with its percent signs encoded `level` times, as inside another URL's
    query.
    """
    return value.replace("%", "%" + "25" * level) if level else value


def _mask_signature(match: re.Match[str]) -> str:
    signature, level = _decode_signature(match)
    suffix = f":{level}" if level else ""
    before = match[0][: match.start("value") - match.start()]
    return f"{before}«sig:sha256:{hash_signature(signature)}{suffix}»"


def _decode_signature(match: re.Match[str]) -> tuple[str, int]:
    """Return a signature without the percent-encoding of its text, and how often it was encoded.

    If decoding is not exactly reversible, the signature stays encoded.
    """
    value = match["value"]
    if match["nesting"] is None:
        return value, 0
    level = 1 + len(match["nesting"]) // 2
    plain = value.replace("%" + "25" * level, "%")
    if "%" in value and encode_percent_signs(plain, level) == value:
        return plain, level
    return value, 0

"""Takes signatures out of text, and puts them back.

A trigger URL with its `sig` is a password (platform.md#secret-urls). State keeps a caller's old
value with each signature replaced by a marker that carries its SHA-256; an undo asks the platform
for the signature again and proves by the hash that it is the same one.
"""

import re
from collections.abc import Mapping
from hashlib import sha256

from shared.errors import Conflict

#: A signature's value as text may hold it: base64 or base64url, percent-encoded any number of
#: times, JSON-escaped; a dot or a tilde only inside, because prose ends in one.
SIGNATURE_VALUE = (
    r"(?:[A-Za-z0-9_+/=-]|[.~](?=[A-Za-z0-9_])"
    r"|%(?:25)*(?:2[BbFf]|3[Dd])|\\+u00(?:2[BbFf]|3[Dd])|\\+/)+"
)
#: `sig` begins a name after anything but a letter of the same word; an escaped `&` or `?` ends in
#: letters and digits too. Looked at behind the first letter: a search for one letter is fast.
_NAME_START = (
    r"[Ss](?:(?<![A-Za-z0-9_].)|(?<=u0026.)|(?<=u003[Ff].)|(?<=%26.)|(?<=2526.)|(?<=%3[Ff].)"
    r"|(?<=253[Ff].))"
)
_EQUALS = (
    r"=|%(?P<nesting>(?:25)*)3[Dd]|\\+u003[Dd]|&#x3[Dd];|&#61;"
    # a JSON member, as in the `queries` of listCallbackUrl (platform.md#trigger-url-read)
    r"|\\*\"\s*:\s*\\*\""
)
_SIGNATURE = re.compile(rf"{_NAME_START}[Ii][Gg](?:{_EQUALS})(?P<value>{SIGNATURE_VALUE})")
_MARKER = re.compile(r"«sig:sha256:(?P<hash>[0-9a-f]{64})(?::(?P<level>[0-9]+))?»")


class SignatureChanged(Conflict):
    """No signature that is known has the hash that a marker carries."""

    def __init__(self, signature_hash: str) -> None:
        super().__init__(
            f"The signature with SHA-256 {signature_hash[:12]}… is not known any more: the key of "
            "its flow was regenerated, or it belongs to something else. Compare with the caller."
        )
        self.signature_hash = signature_hash


def hash_signature(signature: str) -> str:
    """Return the SHA-256 of a signature as it stands in a URL, as 64 hex digits."""
    return sha256(signature.encode()).hexdigest()


def mask_signatures(text: str) -> str:
    """Return the text with every `sig` value replaced by a marker with its SHA-256.

    Finds them in URLs that are plain, JSON-escaped or percent-encoded, and in JSON members named
    `sig`. Masking a masked text changes nothing.
    """
    if "sig" not in text.lower():  # rows and records are long, and nearly none has one
        return text
    return _SIGNATURE.sub(_mask, text)


def unmask_signatures(text: str, signatures: Mapping[str, str]) -> str:
    """Return the text with its markers replaced; `signatures` maps SHA-256 to `sig`.

    Raises `SignatureChanged` when one of the markers has no signature that fits.
    """

    def restore(marker: re.Match[str]) -> str:
        signature = signatures.get(marker["hash"])
        if signature is None or hash_signature(signature) != marker["hash"]:
            raise SignatureChanged(marker["hash"])
        return encode_percent_signs(signature, int(marker["level"] or 0))

    return _MARKER.sub(restore, text)


def signatures_in(text: str) -> dict[str, str]:
    """Return every signature of a text by its SHA-256, ready for `unmask_signatures`.

    An undo passes those of the caller's present value beside the platform's: signatures that were
    never ours to change are still there.
    """
    found = (_plain_value(match) for match in _SIGNATURE.finditer(text))
    return {hash_signature(signature): signature for signature, _ in found}


def encode_percent_signs(value: str, level: int) -> str:
    """Encode a value's percent signs once per level, as in a URL inside a URL's query."""
    return value.replace("%", "%" + "25" * level) if level else value


def _mask(match: re.Match[str]) -> str:
    signature, level = _plain_value(match)
    suffix = f":{level}" if level else ""
    before = match[0][: match.start("value") - match.start()]
    return f"{before}«sig:sha256:{hash_signature(signature)}{suffix}»"


def _plain_value(match: re.Match[str]) -> tuple[str, int]:
    """Undo the percent-encoding of the surrounding text where that is exactly reversible."""
    value = match["value"]
    if match["nesting"] is None:
        return value, 0
    level = 1 + len(match["nesting"]) // 2
    plain = value.replace("%" + "25" * level, "%")
    if "%" in value and encode_percent_signs(plain, level) == value:
        return plain, level
    return value, 0

"""Define a signature with a Key Vault key, and the signature file of an evidence file.

The algorithm is RS256 (RSASSA-PKCS1-v1_5 with SHA-256). A key always gives the same content the
same signature, and any cryptographic tool can verify it.
"""

import json
from dataclasses import asdict, dataclass

ALGORITHM = "RS256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A version of an RSA key in Key Vault."""

    #: URL with the version.
    id: str
    #: PEM (SubjectPublicKeyInfo).
    public_key: str
    is_enabled: bool
    #: What the key may be used for, such as `sign`, in lower case.
    operations: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature, with the algorithm and the public key that are needed to verify it."""

    algorithm: str = ALGORITHM
    #: URL of the key, with the version. The signer states it; only the public key verifies.
    key_id: str
    #: PEM (SubjectPublicKeyInfo).
    public_key: str
    #: Base64.
    value: str


def format_signature(signature: Signature | str) -> bytes:
    """Return the content of the signature file. A text is the reason why there is no signature."""
    content = {"reason": signature} if isinstance(signature, str) else asdict(signature)
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def parse_signature(content: bytes) -> Signature | str:
    """Parse a signature file. Returns the signature, or the reason why there is none.

    Raises `ValueError` if the content is malformed.
    """
    read = json.loads(content)
    if not isinstance(read, dict) or not all(isinstance(one, str) for one in read.values()):
        raise ValueError("the signature file is not an object of texts")
    if reason := read.get("reason"):
        return str(reason)
    try:
        return Signature(**read)
    except TypeError as err:
        raise ValueError(f"the signature file is incomplete: {err}") from err

"""Verify signatures with public keys.

Imported only when needed, because the library cryptography loads slowly.
"""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from shared.domain.signature import ALGORITHM, Signature

#: NIST SP 800-131A forbids shorter RSA keys.
_SHORTEST_KEY = 2048


def is_signature_valid(signature: Signature, content: bytes) -> bool:
    """Return whether a signature is valid for this content.

    A signature with another algorithm or a short key is not valid.
    """
    try:
        key = _parse_public_key(signature.public_key)
        value = base64.b64decode(signature.value, validate=True)
        if signature.algorithm != ALGORITHM or key.key_size < _SHORTEST_KEY:
            return False
        key.verify(value, content, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def format_public_key(*, modulus: int, exponent: int) -> str:
    """Return an RSA public key as PEM. Raises `ValueError` if the numbers are not a key."""
    key = RSAPublicNumbers(exponent, modulus).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def compute_fingerprint(pem: str) -> str:
    """Return the SHA-256 of a public key in DER, in hex.

    Line ends and comments of the PEM file therefore do not matter. Raises `ValueError` if the text
    is not a public key.
    """
    der = _parse_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _parse_public_key(pem: str) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm as err:
        raise ValueError(f"unsupported public key: {err}") from err
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the public key is not an RSA key")
    return key

"""Create the private keys of the simulated vaults. They protect nothing."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

_EXPONENT = 65537


@cache
def get_private_key(name: str, number: int, size: int) -> RSAPrivateKey:
    """Return the private key of a key's version. It is created once, as this takes a while.

    Keys with the same name in other tenants of the process are equal.
    """
    del name, number  # They only identify the key.
    return generate_private_key(_EXPONENT, size)


def sign_digest(key: RSAPrivateKey, digest: bytes) -> bytes:
    """Return the RS256 signature of a SHA-256 digest. Raises `ValueError` for a wrong length."""
    return key.sign(digest, PKCS1v15(), Prehashed(SHA256()))

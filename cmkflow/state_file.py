"""Read and write the encrypted file of an exported state.

The file begins with a header, a line of JSON. Each record is its length, a nonce and a ciphertext
(AES-256-GCM). The cipher authenticates the header and the record's number, so that no record can be
changed or moved unnoticed. The last record marks the file as complete.
"""

import base64
import binascii
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from shared.errors import InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = "cmkflow-state-1"
_KEY, _NONCE, _SALT, _LENGTH = 32, 12, 16, 4  # bytes
#: scrypt: 128 MiB and half a second for each guess of a passphrase.
_COST, _BLOCK_SIZE, _PARALLELISM = 2**17, 8, 1


@dataclass(frozen=True, slots=True)
class StateSecret:
    """The secret that encrypts an exported state: a passphrase, or a key of 32 bytes in base64."""

    text: str
    is_key: bool = False

    def derive_key(self, salt: bytes) -> bytes:
        """Return the key for a file with this salt.

        Raises `InvalidInput` if the text is not a valid key.
        """
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        if not self.is_key:
            kdf = Scrypt(salt=salt, length=_KEY, n=_COST, r=_BLOCK_SIZE, p=_PARALLELISM)
            return kdf.derive(self.text.encode())
        try:
            key = base64.b64decode(self.text.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _KEY:
            raise InvalidInput("The key file must contain 32 bytes in base64.")
        return key


@dataclass(frozen=True, slots=True)
class Record:
    """A part of an exported state: rows of a table, an archived file, or the mark of the end."""

    head: dict[str, Any]
    body: bytes = b""


class StateFile:
    """The encrypted file of an exported state."""

    def __init__(self, path: Path, header: bytes, cipher: "AESGCM") -> None:
        """Wrap a file whose header is written. Call `create` or `open` instead."""
        self.path = path
        self.id: str = json.loads(header)["id"]
        self._header = header
        self._cipher = cipher
        #: Where the next record begins, and its number.
        self._end, self._number = len(header), 0

    @classmethod
    def create(cls, path: Path, secret: StateSecret) -> Self:
        """Create a file that only its owner may read. Raises `OSError` if it exists."""
        salt = os.urandom(_SALT)
        document = {"format": _FORMAT, "id": uuid4().hex, "salt": base64.b64encode(salt).decode()}
        header = json.dumps(document).encode() + b"\n"
        cipher = _build_cipher(secret, salt)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(header)
        return cls(path, header, cipher)

    @classmethod
    def open(cls, path: Path, secret: StateSecret) -> Self:
        """Open an existing file. Raises `OSError` if it cannot be read, and `InvalidInput` if it
        has another format.
        """
        with path.open("rb") as file:
            header = file.readline(1_000)
        try:
            document = json.loads(header)
            salt = base64.b64decode(document["salt"])
            is_known = document["format"] == _FORMAT and isinstance(document["id"], str)
        except (ValueError, KeyError, TypeError):
            is_known = False
        if not is_known:
            raise InvalidInput(f"{path} is not an exported state that this version reads.")
        return cls(path, header, _build_cipher(secret, salt))

    def read_records(self) -> Iterator[Record]:
        """Yield all complete records; `append_record` continues after the last one.

        Raises `InvalidInput` for a wrong secret, or if a record was changed.
        """
        self._end, self._number = len(self._header), 0
        with self.path.open("rb") as file:
            file.seek(self._end)
            while len(start := file.read(_LENGTH)) == _LENGTH:
                size = int.from_bytes(start)
                sealed = file.read(size)
                if len(sealed) < size:
                    return  # the write was interrupted
                record = self._decrypt_record(sealed)
                self._end, self._number = file.tell(), self._number + 1
                yield record

    def append_record(self, record: Record) -> None:
        """Write a record to the end of the file, and wait until it is on the disk."""
        plain = zlib.compress(json.dumps(record.head).encode() + b"\n" + record.body)
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, plain, self._build_authenticated_data())
        with self.path.open("r+b") as file:
            file.seek(self._end)
            file.truncate()
            file.write(len(sealed).to_bytes(_LENGTH) + sealed)
            file.flush()
            os.fsync(file.fileno())
            self._end, self._number = file.tell(), self._number + 1

    def _build_authenticated_data(self) -> bytes:
        return self._header + str(self._number).encode()

    def _decrypt_record(self, sealed: bytes) -> Record:
        from cryptography.exceptions import InvalidTag

        nonce, text = sealed[:_NONCE], sealed[_NONCE:]
        try:
            plain = self._cipher.decrypt(nonce, text, self._build_authenticated_data())
        except (InvalidTag, ValueError):
            raise InvalidInput(
                f"{self.path}: the passphrase or key is wrong, or record {self._number} is damaged."
            ) from None
        head, _, body = zlib.decompress(plain).partition(b"\n")
        return Record(json.loads(head), body)


def _build_cipher(secret: StateSecret, salt: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(secret.derive_key(salt))

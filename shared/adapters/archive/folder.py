"""The archive in a folder: definitions as they were, each file encrypted with AES-256-GCM.

A file is a version byte, a nonce and the sealed text. The name is sealed along with the content,
so a file that was moved under another name does not open.
"""

import asyncio
import base64
import binascii
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from shared.adapters.archive.names import check_name
from shared.errors import InvalidInput, NotFound
from shared.ports import Archive

_VERSION = b"\x01"
_NONCE = 12  # bytes, as NIST SP 800-38D advises
_KEY = 32  # bytes


class FolderArchive(Archive):
    """`Archive` in files below one folder."""

    def __init__(self, folder: Path, key: str) -> None:
        """`key` is 32 bytes in url-safe base64; raises `ValueError` for anything else."""
        # Imported here: nothing else needs it, and Azure's own encryption needs no key.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._folder = folder
        self._cipher = AESGCM(_decode(key))

    async def put(self, name: str, content: bytes) -> str:
        """Keep `content` under `name` unless it is there; return where it stands."""
        file = self._file(name)
        await asyncio.to_thread(self._write, file, name, content)
        return str(file)

    async def get(self, name: str) -> bytes:
        """Return what was kept; raises `NotFound`, `InvalidInput` if the key does not fit."""
        return await asyncio.to_thread(self._read, self._file(name), name)

    def _file(self, name: str) -> Path:
        check_name(name)
        return self._folder / f"{name}.sealed"

    def _write(self, file: Path, name: str, content: bytes) -> None:
        if file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        nonce = os.urandom(_NONCE)
        sealed = _VERSION + nonce + self._cipher.encrypt(nonce, content, name.encode())
        # Another name first: whoever finds the file finds all of it.
        with NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(sealed)
            new.flush()
            os.fsync(new.fileno())
        try:
            file.hardlink_to(new.name)  # fails if another process was faster: its content stays
        except FileExistsError:
            pass
        finally:
            Path(new.name).unlink()

    def _read(self, file: Path, name: str) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            sealed = file.read_bytes()
        except FileNotFoundError as err:
            raise NotFound(f"the archive holds nothing under {name}") from err
        version, nonce, text = sealed[:1], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            if version != _VERSION:
                raise InvalidInput(f"{name} was archived by a newer version")
            return self._cipher.decrypt(nonce, text, name.encode())
        except InvalidTag as err:
            raise InvalidInput(f"{name} does not open with this archive key") from err


def _decode(key: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(key)
    except binascii.Error as err:
        raise ValueError("the archive key is no url-safe base64") from err
    if len(raw) != _KEY:
        raise ValueError("the archive key must be 32 bytes in url-safe base64")
    return raw

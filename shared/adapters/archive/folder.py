"""Archive files in a folder, each encrypted with AES-256-GCM.

A file is a version byte, a nonce and the ciphertext. The name is authenticated with the content, so
a renamed file cannot be decrypted.
"""

import asyncio
import base64
import binascii
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from shared.adapters.archive.names import require_valid_name
from shared.errors import InvalidInput, NotFound
from shared.ports import Archive

_VERSION = b"\x01"
_NONCE = 12  # bytes, as NIST SP 800-38D advises
_KEY = 32  # bytes
_SUFFIX = ".sealed"


class FolderArchive(Archive):
    """Implements the port `Archive` with encrypted files in a folder."""

    def __init__(self, folder: Path, key: str) -> None:
        """Raise `ValueError` unless `key` is 32 bytes in URL-safe base64."""
        # Imported here because only this class needs it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._folder = folder
        self._cipher = AESGCM(_parse_archive_key(key))

    async def put(self, name: str, content: bytes) -> str:
        file = self._build_file_path(name)
        await asyncio.to_thread(self._write_file, file, name, content)
        return str(file)

    async def list_names(self, folder: str = "") -> list[str]:
        names = await asyncio.to_thread(self._list_all_names)
        return [name for name in names if name.startswith(folder)]

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._build_file_path(name).unlink, missing_ok=True)

    def _list_all_names(self) -> list[str]:
        files = self._folder.rglob(f"*{_SUFFIX}")
        return sorted(str(one.relative_to(self._folder)).removesuffix(_SUFFIX) for one in files)

    async def get(self, name: str) -> bytes:
        """Return the content of a file. Raises `InvalidInput` if it cannot be decrypted."""
        return await asyncio.to_thread(self._read_file, self._build_file_path(name), name)

    def _build_file_path(self, name: str) -> Path:
        require_valid_name(name)
        return self._folder / f"{name}{_SUFFIX}"

    def _write_file(self, file: Path, name: str, content: bytes) -> None:
        if file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        nonce = os.urandom(_NONCE)
        sealed = _VERSION + nonce + self._cipher.encrypt(nonce, content, name.encode())
        # Written under a temporary name first, so that no reader sees half a file.
        with NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(sealed)
            new.flush()
            os.fsync(new.fileno())
        try:
            file.hardlink_to(new.name)  # fails if another process wrote it first; its content stays
        except FileExistsError:
            pass
        finally:
            Path(new.name).unlink()

    def _read_file(self, file: Path, name: str) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            sealed = file.read_bytes()
        except FileNotFoundError as err:
            raise NotFound(f"{name} is not in the archive") from err
        version, nonce, text = sealed[:1], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            if version != _VERSION:
                raise InvalidInput(f"{name} was archived by a newer version")
            return self._cipher.decrypt(nonce, text, name.encode())
        except InvalidTag as err:
            raise InvalidInput(f"Cannot decrypt {name} with this archive key") from err


def _parse_archive_key(key: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(key)
    except binascii.Error as err:
        raise ValueError("the archive key is not URL-safe base64") from err
    if len(raw) != _KEY:
        raise ValueError("the archive key must be 32 bytes in URL-safe base64")
    return raw

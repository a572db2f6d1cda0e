"""Build and check evidence files: zips with a manifest of their files, which is signed if possible.

The same content gives the same bytes, because files are sorted and have a fixed time.
"""

import csv
import hashlib
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from shared.domain.printable import format_spreadsheet_cell
from shared.domain.signature import Signature, parse_signature
from shared.domain.zip_layout import has_unlisted_bytes

MANIFEST = "manifest.json"
#: The signature of the manifest's bytes, or the reason why there is none.
SIGNATURE = "signature.json"
#: An authority's answer (RFC 3161) with the time stamp of the signature file's bytes.
TIME_STAMP = "timestamp.tsr"
#: Instead of the time stamp: the reason why there is none.
NO_TIME_STAMP = "no-timestamp.txt"
#: Approved plans. The name of each is its plan version, the beginning of its SHA-256.
APPROVED_PLANS = "approved-plans/"
#: Member of the manifest: what was changed in the audit log after it was sealed.
AUDIT_DIFFERENCES = "audit_differences"
#: Hex digits of a plan version.
_VERSION = 16
_FORMAT = 1
#: The same for every file: the earliest time that a zip can store.
_TIME = (1980, 1, 1, 0, 0, 0)
#: Bytes that are read at a time.
_CHUNK_SIZE = 1024 * 1024
#: Largest manifest in bytes; one file takes about 150 of them.
_LARGEST_MANIFEST = 64 * 1024 * 1024
_LARGEST_SIGNATURE = 64 * 1024
_LARGEST_TIME_STAMP = 64 * 1024
#: Files that the manifest does not list.
_UNNAMED = frozenset({MANIFEST, SIGNATURE, TIME_STAMP, NO_TIME_STAMP})
#: Errors of a file that is no zip, or is damaged, encrypted or compressed in another way.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError)


class EvidenceFile:
    """An evidence file that is being built. Its files are kept in a folder instead of in memory."""

    def __init__(self, folder: Path) -> None:
        """Keep files in this folder, which must be empty. Nothing here removes the folder."""
        self._folder = folder
        self._files: dict[str, Path] = {}

    def write(self, name: str, content: bytes) -> None:
        """Append content to a file of the zip."""
        path = self._files.setdefault(name, self._folder / str(len(self._files)))
        with path.open("ab") as file:
            file.write(content)

    def write_row(self, name: str, cells: Iterable[object]) -> None:
        """Append a line to a CSV file (RFC 4180). Spreadsheets read no cell of it as a formula."""
        texts = ("" if cell is None else str(cell) for cell in cells)
        line = io.StringIO()
        csv.writer(line).writerow(map(format_spreadsheet_cell, texts))
        self.write(name, line.getvalue().encode("utf-8", "replace"))

    def build_manifest(self, about: Mapping[str, object]) -> bytes:
        """Return the manifest of the files written so far, with the members of `about`."""
        files = {}
        for name, path in sorted(self._files.items()):
            with path.open("rb") as file:
                digest, size = _hash_and_size(file)
            files[name] = {"sha256": digest, "bytes": size}
        manifest = {"format": _FORMAT, **about, "files": files}
        return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()

    def build_zip(self, manifest: bytes, signature: bytes, time_stamp: bytes | str) -> bytes:
        """Return the zip with the files, their manifest, the signature file and its time stamp.

        If `time_stamp` is a text, it is the reason why there is no time stamp.
        """
        stamp_name = NO_TIME_STAMP if isinstance(time_stamp, str) else TIME_STAMP
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(_build_zip_info(MANIFEST), manifest)
            archive.writestr(_build_zip_info(SIGNATURE), signature)
            archive.writestr(_build_zip_info(stamp_name), time_stamp)
            for name, path in sorted(self._files.items()):
                with path.open("rb") as file, archive.open(_build_zip_info(name), "w") as member:
                    shutil.copyfileobj(file, member)
        return target.getvalue()


def find_manifest_differences(file: IO[bytes]) -> Iterator[str]:
    """Yield each difference between a zip and its manifest.

    Raises `ValueError` if the file is not an evidence file.
    """
    with _open_zip(file) as archive:
        files = json.loads(_read_zip_member(archive, MANIFEST, _LARGEST_MANIFEST))["files"]
        named = {name: (one["sha256"], one["bytes"]) for name, one in files.items()}
        if has_unlisted_bytes(file, archive):
            yield "the zip has bytes that belong to none of its files"
        yield from _find_differences(archive, named)


def read_signature(file: IO[bytes]) -> tuple[bytes, Signature | str]:
    """Return the manifest and its signature, which is not verified here.

    If there is no signature, returns the reason instead. Raises `ValueError` if the file is not an
    evidence file.
    """
    with _open_zip(file) as archive:
        manifest = _read_zip_member(archive, MANIFEST, _LARGEST_MANIFEST)
        if SIGNATURE not in archive.namelist():
            return manifest, "it has no signature file"
        return manifest, parse_signature(_read_zip_member(archive, SIGNATURE, _LARGEST_SIGNATURE))


def read_time_stamp(file: IO[bytes]) -> tuple[bytes, bytes | str]:
    """Return the signature file and its time stamp, which is not verified here.

    If there is no time stamp, returns no bytes and the reason. Raises `ValueError` if the file is
    not an evidence file.
    """
    with _open_zip(file) as archive:
        names = archive.namelist()
        if TIME_STAMP in names and SIGNATURE in names:
            signature = _read_zip_member(archive, SIGNATURE, _LARGEST_SIGNATURE)
            return signature, _read_zip_member(archive, TIME_STAMP, _LARGEST_TIME_STAMP)
        if NO_TIME_STAMP in names:
            return b"", _read_zip_member(archive, NO_TIME_STAMP, _LARGEST_TIME_STAMP).decode()
        return b"", "it has no time stamp file"


def read_files(file: IO[bytes], names: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the content of the files whose name `names` accepts.

    Raises `ValueError` if the file is not an evidence file.
    """
    with _open_zip(file) as archive:
        wanted = [name for name in archive.namelist() if names(name)]
        return {name: _read_zip_member(archive, name, _LARGEST_MANIFEST) for name in wanted}


@contextmanager
def _open_zip(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (*_BROKEN, KeyError, TypeError, AttributeError, ValueError) as err:
        raise ValueError(f"this is not an evidence file: {err}") from err


def _read_zip_member(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    if archive.getinfo(name).file_size > largest:
        raise ValueError(f"its {name} is too large")
    return archive.read(name)


def _find_differences(
    archive: zipfile.ZipFile, named: Mapping[str, tuple[str, int]]
) -> Iterator[str]:
    there = [info.filename for info in archive.infolist()]
    yield from (f"{name} is in it twice" for name in sorted({*there}) if there.count(name) > 1)
    yield from (f"{name} is missing" for name in sorted(named.keys() - {*there}))
    known = {*_UNNAMED, *named, *_list_empty_folders(archive, named)}
    yield from (f"{name} is not in the manifest" for name in sorted({*there} - known))
    for name in sorted(named.keys() & {*there}):
        try:
            with archive.open(name) as member:
                digest, size = _hash_and_size(member)
        except _BROKEN:
            yield f"{name} is damaged"
            continue
        if (digest, size) != named[name]:
            yield f"{name} was changed: its SHA-256 is {digest}, not {named[name][0]}"
        version = name.removeprefix(APPROVED_PLANS).rpartition("/")[2].removesuffix(".json")
        if name.startswith(APPROVED_PLANS) and version != digest[:_VERSION]:
            yield f"{name} does not have the plan version in its name"


def _list_empty_folders(archive: zipfile.ZipFile, names: Iterable[str]) -> Iterator[str]:
    """Yield the empty entries that `zip -r` adds for the folders of these files."""
    folders = {name[: end + 1] for name in names for end, char in enumerate(name) if char == "/"}
    for info in archive.infolist():
        if info.filename in folders and not (info.file_size or info.compress_size):
            yield info.filename


def _hash_and_size(file: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_CHUNK_SIZE):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def _build_zip_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # the same on every system
    info.external_attr = 0o600 << 16
    return info

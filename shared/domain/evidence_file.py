"""Build and check an evidence file: a zip whose manifest lists every file with its SHA-256.

The same content gives the same bytes: files are sorted and have a fixed time.
"""

import csv
import hashlib
import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from shared.domain.spreadsheet_cell import spreadsheet_cell

MANIFEST = "manifest.json"
#: Approved plans. The name of each is its plan version, the beginning of its SHA-256.
APPROVED_PLANS = "approved-plans/"
#: Hex digits of a plan version.
_VERSION = 16
_FORMAT = 1
#: The same for every file: the earliest time that a zip can store.
_TIME = (1980, 1, 1, 0, 0, 0)
#: Bytes that are read at a time.
_CHUNK_SIZE = 1024 * 1024
#: Largest manifest in bytes; one file takes about 150 of them.
_LARGEST_MANIFEST = 64 * 1024 * 1024
#: Errors of a file that is no zip, or is damaged, encrypted or compressed in another way.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


class EvidenceFile:
    """Files to be zipped, kept in a folder instead of in memory."""

    def __init__(self, folder: Path) -> None:
        """Use an empty folder, which the caller removes."""
        self._folder = folder
        self._files: dict[str, Path] = {}

    def write(self, name: str, content: bytes) -> None:
        """Append content to a file of the zip."""
        path = self._files.setdefault(name, self._folder / str(len(self._files)))
        with path.open("ab") as file:
            file.write(content)

    def write_row(self, name: str, cells: Iterable[object]) -> None:
        """Append a line to a CSV file (RFC 4180); no cell is read as a formula by spreadsheets."""
        texts = ("" if cell is None else str(cell) for cell in cells)
        line = io.StringIO()
        csv.writer(line).writerow(map(spreadsheet_cell, texts))
        self.write(name, line.getvalue().encode("utf-8", "replace"))

    def zipped(self, about: Mapping[str, object]) -> bytes:
        """Return the zip; its manifest contains `about`."""
        files = {}
        for name, path in sorted(self._files.items()):
            with path.open("rb") as file:
                digest, size = _hash_and_size(file)
            files[name] = {"sha256": digest, "bytes": size}
        manifest = {"format": _FORMAT, **about, "files": files}
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
            archive.writestr(_zip_info(MANIFEST), text)
            for name in files:
                with (
                    self._files[name].open("rb") as file,
                    archive.open(_zip_info(name), "w") as member,
                ):
                    shutil.copyfileobj(file, member)
        return target.getvalue()


def find_manifest_differences(file: IO[bytes]) -> Iterator[str]:
    """Yield each difference between a zip and its manifest; none if it is complete.

    Raises `ValueError` if the file is no evidence file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield from _differences(archive, _read_manifest(archive))
    except (*_BROKEN, KeyError, TypeError, AttributeError, ValueError) as err:
        raise ValueError(f"this is not an evidence file: {err}") from err


def _read_manifest(archive: zipfile.ZipFile) -> Mapping[str, tuple[str, int]]:
    if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        raise ValueError("its manifest is too large")
    files = json.loads(archive.read(MANIFEST))["files"]
    return {name: (one["sha256"], one["bytes"]) for name, one in files.items()}


def _differences(archive: zipfile.ZipFile, named: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    there = [info.filename for info in archive.infolist()]
    yield from (f"{name} is in it twice" for name in sorted({*there}) if there.count(name) > 1)
    yield from (f"{name} is missing" for name in sorted(named.keys() - {*there}))
    yield from (f"{name} is not in the manifest" for name in sorted({*there} - {MANIFEST, *named}))
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


def _hash_and_size(file: IO[bytes]) -> tuple[str, int]:
    """Return the SHA-256 and the length of a file, read in parts."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_CHUNK_SIZE):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def _zip_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # the same on every system
    info.external_attr = 0o600 << 16
    return info

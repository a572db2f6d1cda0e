"""A zip that can be checked: its manifest names every file with the SHA-256 of its bytes.

The same files make the same bytes: they are sorted, and none has a time.
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
#: Plans as they were approved: the name of each is its version, which begins its SHA-256.
APPROVED_PLANS = "approved-plans/"
#: Hex digits of such a version.
_VERSION = 16
_FORMAT = 1
#: No time is told: this is the first that a zip can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
#: Bytes of a file that are read at a time.
_PIECE = 1024 * 1024
#: Bytes of a manifest at most: it names a file in some 150 of them.
_LARGEST_MANIFEST = 64 * 1024 * 1024
#: What a zip is that cannot be read: no zip, damaged, encrypted, or packed in another way.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


class EvidenceFile:
    """Files on their way into a zip; they lie in a folder, not in memory."""

    def __init__(self, folder: Path) -> None:
        """Use an empty folder, which whoever made it removes."""
        self._folder = folder
        self._files: dict[str, Path] = {}

    def write(self, name: str, content: bytes) -> None:
        """Write on at the end of a file."""
        path = self._files.setdefault(name, self._folder / str(len(self._files)))
        with path.open("ab") as file:
            file.write(content)

    def write_row(self, name: str, cells: Iterable[object]) -> None:
        """Write a line of a CSV file (RFC 4180); no cell is a formula to a spreadsheet."""
        texts = ("" if cell is None else str(cell) for cell in cells)
        line = io.StringIO()
        csv.writer(line).writerow(map(spreadsheet_cell, texts))
        self.write(name, line.getvalue().encode("utf-8", "replace"))

    def zipped(self, about: Mapping[str, object]) -> bytes:
        """Return the zip; `about` stands in its manifest."""
        files = {}
        for name, path in sorted(self._files.items()):
            with path.open("rb") as file:
                digest, size = _measured(file)
            files[name] = {"sha256": digest, "bytes": size}
        manifest = {"format": _FORMAT, **about, "files": files}
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
            archive.writestr(_info(MANIFEST), text)
            for name in files:
                with self._files[name].open("rb") as file, archive.open(_info(name), "w") as member:
                    shutil.copyfileobj(file, member)
        return target.getvalue()


def find_manifest_differences(file: IO[bytes]) -> Iterator[str]:
    """Yield what of a zip is not as its manifest says, in words; nothing: it is whole.

    Raises `ValueError` for what is no such zip.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield from _differences(archive, _manifest_of(archive))
    except (*_BROKEN, KeyError, TypeError, AttributeError, ValueError) as err:
        raise ValueError(f"this is no pack of evidence: {err}") from err


def _manifest_of(archive: zipfile.ZipFile) -> Mapping[str, tuple[str, int]]:
    if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        raise ValueError("its manifest is too large to be one")
    files = json.loads(archive.read(MANIFEST))["files"]
    return {name: (one["sha256"], one["bytes"]) for name, one in files.items()}


def _differences(archive: zipfile.ZipFile, named: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    there = [info.filename for info in archive.infolist()]
    yield from (f"{name} stands in it twice" for name in sorted({*there}) if there.count(name) > 1)
    yield from (f"{name} is missing" for name in sorted(named.keys() - {*there}))
    yield from (f"{name} is not in the manifest" for name in sorted({*there} - {MANIFEST, *named}))
    for name in sorted(named.keys() & {*there}):
        try:
            with archive.open(name) as member:
                digest, size = _measured(member)
        except _BROKEN:
            yield f"{name} is damaged"
            continue
        if (digest, size) != named[name]:
            yield f"{name} was changed: its SHA-256 is {digest}, not {named[name][0]}"
        version = name.removeprefix(APPROVED_PLANS).rpartition("/")[2].removesuffix(".json")
        if name.startswith(APPROVED_PLANS) and version != digest[:_VERSION]:
            yield f"{name} is not the plan of that version"


def _measured(file: IO[bytes]) -> tuple[str, int]:
    """Return the SHA-256 of a file and its length, read piece by piece."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # whatever system it was made on
    info.external_attr = 0o600 << 16
    return info

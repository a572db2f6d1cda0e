"""Find bytes of a zip that belong to none of its files.

A tool that reads a zip from its beginning shows what the zip's directory does not list: another zip
before it, or a file between others.
"""

import struct
import zipfile
from typing import IO

#: Local header: flags at 6, lengths of name and extra field at 26.
_LOCAL = struct.Struct("<6xH18xHH")
_HAS_DESCRIPTOR = 0x8
#: Lengths of a descriptor: with or without its mark, with lengths of 4 or 8 bytes.
_DESCRIPTORS, _NOTHING = frozenset({12, 16, 20, 24}), frozenset({0})
_ENTRY, _END, _END_64 = 46, 22, 22 + 20 + 56


def has_unlisted_bytes(file: IO[bytes], archive: zipfile.ZipFile) -> bool:
    """Return whether a zip has a comment, or bytes that belong to none of its files.

    Raises `struct.error` if the zip is damaged.
    """
    end = 0
    allowed = _NOTHING
    entries = sorted(archive.infolist(), key=lambda one: one.header_offset)
    for entry in entries:
        if entry.header_offset - end not in allowed:
            return True
        file.seek(entry.header_offset)
        flags, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
        end = entry.header_offset + _LOCAL.size + name + extra + entry.compress_size
        allowed = _DESCRIPTORS if flags & _HAS_DESCRIPTOR else _NOTHING
    if archive.start_dir - end not in allowed:
        return True
    directory = sum(_ENTRY + _measure_entry_name(one) + len(one.extra) for one in entries)
    rest = file.seek(0, 2) - archive.start_dir - directory
    return rest not in {_END, _END_64} or any(one.comment for one in entries)


def _measure_entry_name(entry: zipfile.ZipInfo) -> int:
    is_utf8 = entry.flag_bits & 0x800
    return len(entry.orig_filename.encode("utf-8" if is_utf8 else "cp437"))

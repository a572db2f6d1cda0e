"""Find the paths at which two definitions differ. Values may be secret, so they are omitted."""

import json
from collections.abc import Iterator

#: A longer list does not help a reader.
MOST_PLACES = 12


def find_changed_paths(old: str, new: str) -> tuple[str, ...]:
    """Return the paths of the members that differ, at most `MOST_PLACES`.

    Returns no paths if one of the texts cannot be decoded.
    """
    try:
        places = sorted(set(_find_differences(json.loads(old), json.loads(new), "")))
    except (ValueError, RecursionError):
        return ()
    return tuple(places[:MOST_PLACES])


def _find_differences(old: object, new: object, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() | new.keys():
            if name in old and name in new:
                yield from _find_differences(old[name], new[name], f"{path}/{name}")
            else:
                yield f"{path}/{name}"
        return
    yield path or "/"

"""Read and write named values of a resource, which are all written in one request.

A caller's address is `resource id|name`.
"""

import json
from collections.abc import Mapping, Sequence

from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts


def build_contents(
    values: Mapping[str, str], callers: Sequence[Caller]
) -> dict[str, CallerContent]:
    """Return, by address, the contents of those callers of one resource that exist.

    `values` has all values of the resource by name. The ETag of each content is a digest of all
    values.
    """
    resource_id = get_resource_id(callers)
    addresses = {name: f"{resource_id}|{name}" for name in values}
    around = {addresses[name]: hash_texts(addresses[name], text) for name, text in values.items()}
    etag = hash_texts(json.dumps(around, sort_keys=True))
    return {
        caller.address: CallerContent(
            text=values[get_value_name(caller)], etag=etag, surrounding_digests=around
        )
        for caller in callers
        if get_value_name(caller) in values
    }


def get_resource_id(callers: Sequence[Caller]) -> str:
    """Return the id of the resource that contains the callers."""
    return callers[0].address.partition("|")[0]


def get_value_name(caller: Caller) -> str:
    """Return the name of the value at a caller's address."""
    return caller.address.partition("|")[2]

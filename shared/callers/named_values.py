"""Share the parts of callers in named values of a resource that one request writes.

Addresses are `resource id|name`.
"""

import json
from collections.abc import Mapping, Sequence

from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_value


def build_contents(
    values: Mapping[str, str], callers: Sequence[Caller]
) -> dict[str, CallerContent]:
    """Return the content of existing callers of one resource, by address.

    `values` are all values of the resource by name. A digest of them is the ETag.
    """
    resource_id = get_resource_id(callers)
    addresses = {name: f"{resource_id}|{name}" for name in values}
    around = {addresses[name]: hash_value(addresses[name], text) for name, text in values.items()}
    etag = hash_value(json.dumps(around, sort_keys=True))
    return {
        caller.address: CallerContent(
            text=values[name_of(caller)], etag=etag, surrounding_digests=around
        )
        for caller in callers
        if name_of(caller) in values
    }


def get_resource_id(callers: Sequence[Caller]) -> str:
    """Return the id of the resource that contains the callers."""
    return callers[0].address.partition("|")[0]


def name_of(caller: Caller) -> str:
    """Return the name of a caller's value."""
    return caller.address.partition("|")[2]

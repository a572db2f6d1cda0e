"""Rename those Dataverse subscriptions in a definition that are named after the flow's own id.

Dataverse keeps one webhook registration per name. If a copy kept the name with the original's id,
the flow that is turned on last would take over the registration, and turning either off would
remove it. Other names, such as that of a custom action, say what is subscribed to, so they stay.
"""

import re
from collections.abc import Collection

from shared.domain.definitions.json_literals import list_json_strings_around

_NAME = "subscriptionRequest/name"


def with_own_subscription(client_data: str, ids: Collection[str], own_id: str) -> str:
    """Return a definition in which `own_id` replaces these ids as names of subscriptions.

    Nothing else changes. `ids` are in lower case.
    """
    pieces, position = [], 0
    for string in list_json_strings_around(client_data, re.compile(re.escape(_NAME))):
        if string.key == _NAME and string.value.lower() in ids:
            start, end = string.find_source_span(0, len(string.value))
            pieces += [client_data[position:start], own_id]
            position = end
    return "".join([*pieces, client_data[position:]])

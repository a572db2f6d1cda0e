"""Names of subscriptions in definitions: a trigger of Dataverse may carry its flow's own id.

Dataverse keeps one registration of a webhook for each flow. Where the definition names it by the
original's id, the copy's would have the same name: who comes on last would have it, and who goes
off would take it away. Other names, such as that of a custom action, mean what is subscribed to.
"""

import re
from collections.abc import Collection

from shared.domain.definitions.json_literals import json_strings_around

_NAME = "subscriptionRequest/name"


def with_own_subscription(client_data: str, ids: Collection[str], own_id: str) -> str:
    """Return a definition in which a subscription by one of these ids is named by `own_id`.

    Nothing else changes; `ids` are in lower case.
    """
    pieces, position = [], 0
    for string in json_strings_around(client_data, re.compile(re.escape(_NAME))):
        if string.key == _NAME and string.value.lower() in ids:
            start, end = string.source_span(0, len(string.value))
            pieces += [client_data[position:start], own_id]
            position = end
    return "".join([*pieces, client_data[position:]])

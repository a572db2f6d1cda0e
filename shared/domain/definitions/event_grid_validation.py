"""Decide from a flow's definition whether it answers Event Grid's validation of its URL.

Event Grid sends a SubscriptionValidationEvent and uses the URL only after the answer. For the
CloudEvents schema it sends OPTIONS, which no flow's trigger accepts
(platform.md#event-subscriptions).
"""

import json
from collections.abc import Collection, Mapping

#: What is missing in a flow that does not answer, and what to do.
NOT_ANSWERED = (
    "Event Grid validates the copy's URL before it uses it, and the flow does not answer. Add a "
    "Response action to the flow that returns status 200 and the body "
    "{\"validationResponse\": \"@{triggerBody()?[0]?['data']?['validationCode']}\"} to an event of "
    "type Microsoft.EventGrid.SubscriptionValidationEvent. Or change the subscription yourself, "
    "and open the validationUrl in the copy's run within ten minutes."
)


def answers_event_grid_validation(
    definition: Mapping[str, object], action_types: Collection[str]
) -> bool:
    """Return whether a flow's actions seem to return the code of a validation event, or call its
    URL.

    `action_types` are the types of all actions of the definition.
    """
    may_return, may_call = "Response" in action_types, "Http" in action_types
    if not may_return and not may_call:
        return False
    text = json.dumps(definition.get("actions"))
    is_returned = "validationResponse" in text and "validationCode" in text
    return (may_return and is_returned) or (may_call and "validationUrl" in text)

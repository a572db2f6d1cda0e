"""Agents of Copilot Studio as callers of a flow: where they name it, the app reads nothing.

So what became of them is a person's word, given by a name as a gap is waived.
"""

KIND = "agent"
LABEL = "agents of Copilot Studio that run it"
BY_THEIR_MAKERS = (
    "Their makers open each agent that runs it in Copilot Studio, choose its copy (the flow of the "
    "same name that ends in (CMK)) where the original is, and publish the agent."
)


def confirmation_name_for_copy(original_id: str) -> str:
    """Return the name by which somebody says that every agent runs the copy."""
    return f"agents:{original_id}"


def confirmation_name_for_original(original_id: str) -> str:
    """Return the name by which somebody says that every agent runs the original again."""
    return f"agents-back:{original_id}"

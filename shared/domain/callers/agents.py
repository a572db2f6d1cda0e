"""Handle Copilot Studio agents as callers of a flow: the app cannot read which flow they run.

A person confirms, by a name, that all agents run the other flow. The confirmation is stored with
the ignored firewall issues.
"""

KIND = "agent"
LABEL = "agents of Copilot Studio that run it"
BY_THEIR_MAKERS = (
    "Their makers open each agent that runs it in Copilot Studio, replace the original by its "
    "copy, the flow of the same name that ends in (CMK), and publish the agent."
)


def confirmation_name_for_copy(original_id: str) -> str:
    """Return the name with which a person confirms that every agent runs the copy."""
    return f"agents:{original_id}"


def confirmation_name_for_original(original_id: str) -> str:
    """Return the name with which a person confirms that every agent runs the original again."""
    return f"agents-back:{original_id}"

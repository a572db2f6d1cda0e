"""Format owners of flows, and define the option that selects flows by owner."""

from typing import Annotated, Any

import typer

from shared.domain.flow_owner import FlowOwner, OwnerStatus, format_owner

OfOwner = Annotated[
    str | None,
    typer.Option(
        "--owner",
        help="Only flows of these owners: part of a name, id or status, such as disabled.",
    ),
]


def format_flow_owner(item: Any) -> str:
    """Return the owner of a flow in an answer of the API, as text."""
    owner = item.get("owner")
    if owner is None:
        return format_owner(None)
    return format_owner(FlowOwner(**{**owner, "status": OwnerStatus(owner["status"])}))

"""Validate the new URL of an event subscription as Event Grid does."""

from collections.abc import Mapping

from shared.domain.definitions.flow_definition import parse_client_data
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.errors import PlatformError
from tests.fakes.run_jobs import find_flow
from tests.fakes.world import World


def require_validated(world: World, change: Mapping[str, object]) -> None:
    """Raise `PlatformError` if the new URL is that of a flow that fails the validation."""
    url = text_at(mapping_at(change, "destination", "properties"), "endpointUrl") or ""
    flow, error = find_flow(world, url)
    if flow and (error or not parse_client_data(flow.client_data).answers_event_grid):
        text = "Webhook validation handshake failed"
        raise PlatformError(text, code="Url validation", status=400)

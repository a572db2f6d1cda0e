"""Read the connections and canvas apps of an environment for its assessment.

An assessment in the background stores each page before it requests the next one, and each connector
before the next one.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.definitions.connector_sign_in import ConnectorSignIn
from shared.domain.environment import Environment
from shared.domain.plans.discovery import (
    DISCOVERY_RESTART_AFTER,
    DiscoveryPage,
    DiscoverySource,
    list_whole_pages,
)
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.power_apps import CanvasApp, Connection, add_sign_in
from shared.errors import ServiceUnavailable
from shared.jobs.leased_job import LeasedJob
from shared.services import Services
from shared.steps.assessing.read_flow_parts import await_or_explain_failure, build_assessment_pages
from shared.steps.flows.discovery_pages import DiscoveryPages, split_into_rows
from shared.steps.optional_read import build_no_answer, read_or_no_answer

#: Apps per row: each may name hundreds of ids.
_APPS_IN_A_ROW = 10
#: How long after the last page a service may be silent: less than `DISCOVERY_RESTART_AFTER`.
_LONGEST_SILENCE = DISCOVERY_RESTART_AFTER / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerAppsFacts:
    """The connections and canvas apps of an environment, or why they are unknown."""

    connections: Sequence[Connection] | NoAnswer
    canvas_apps: Sequence[CanvasApp] | NoAnswer


async def read_power_apps(services: Services, environment: Environment) -> PowerAppsFacts:
    """Return all connections and canvas apps of an environment, without storing pages."""
    ports = services.assessment
    connections, apps = await asyncio.gather(
        read_or_no_answer(ports.connections.list(environment.id)),
        read_or_no_answer(ports.canvas_apps.list_with_flows(environment.id)),
    )
    return PowerAppsFacts(connections=connections, canvas_apps=apps)


async def read_power_apps_parts(
    held: LeasedJob[EnvironmentJob], environment: Environment
) -> PowerAppsFacts:
    """Return all connections and canvas apps of an environment.

    Continue where an earlier invocation stopped. Raises errors that make the job wait. A list that
    the service rejects, or does not return for long, is left out, and the assessment says so.
    """
    parts = build_assessment_pages(held)
    await parts.load_stored_pages()
    connections = await _read_connections(held, parts, environment)
    return PowerAppsFacts(
        connections=connections, canvas_apps=await _read_apps(held, parts, environment)
    )


async def _read_connections(
    held: LeasedJob[EnvironmentJob], parts: DiscoveryPages, environment: Environment
) -> Sequence[Connection] | NoAnswer:
    source, port = DiscoverySource.CONNECTIONS, held.services.assessment.connections

    def build_rows(connections: Sequence[Connection]) -> list[DiscoveryPage]:
        empty = parts.build_empty_row(source)
        return [replace(empty, connections=some) for some in split_into_rows(connections)]

    read = parts.read_and_store_remaining_pages(
        source, partial(port.read_page, environment.id), build_rows
    )
    if silent := await _await_list_or_give_up(held, read):
        return silent
    found = [one for part in list_whole_pages(parts.parts, source) for one in part.connections]
    names = sorted({one.connector for one in found if one.connector})
    silent = await _await_list_or_give_up(held, _store_connectors(parts, environment, names))
    return silent or add_sign_in(found, _get_known_connectors(parts))


def _get_known_connectors(parts: DiscoveryPages) -> dict[str, ConnectorSignIn]:
    known: dict[str, ConnectorSignIn] = {}
    for part in list_whole_pages(parts.parts, DiscoverySource.CONNECTOR):
        known |= part.connectors
    return known


async def _store_connectors(
    parts: DiscoveryPages, environment: Environment, names: Sequence[str]
) -> None:
    known = _get_known_connectors(parts)
    for name in names:
        if name not in known:
            connections = parts.services.assessment.connections
            sign_in = await connections.read_sign_in(environment.id, name)
            empty = parts.build_empty_row(DiscoverySource.CONNECTOR)
            await parts.store_page([replace(empty, connectors={name: sign_in})])


async def _read_apps(
    held: LeasedJob[EnvironmentJob], parts: DiscoveryPages, environment: Environment
) -> Sequence[CanvasApp] | NoAnswer:
    source, port = DiscoverySource.CANVAS_APPS, held.services.assessment.canvas_apps

    def build_rows(apps: Sequence[CanvasApp]) -> list[DiscoveryPage]:
        rows = split_into_rows(apps, _APPS_IN_A_ROW)
        return [replace(parts.build_empty_row(source), canvas_apps=some) for some in rows]

    read = parts.read_and_store_remaining_pages(
        source, partial(port.read_page, environment.id), build_rows
    )
    silent = await _await_list_or_give_up(held, read)
    return silent or [
        one for part in list_whole_pages(parts.parts, source) for one in part.canvas_apps
    ]


async def _await_list_or_give_up(
    held: LeasedJob[EnvironmentJob], reading: Awaitable[None]
) -> NoAnswer | None:
    """Return why a list could not be read, or None if it was read completely.

    If the service does not answer for long, or in the last try of the job, the list is given up, so
    that the assessment can complete without it.
    """
    try:
        return await await_or_explain_failure(reading)
    except ServiceUnavailable as err:
        job, services = held.job, held.services
        read_at = job.assessed.read if job.assessed else services.now
        is_last_try = job.consecutive_failures >= services.settings.backoff_max_attempts
        if not is_last_try and services.now - read_at < _LONGEST_SILENCE:
            raise
        return build_no_answer(err)

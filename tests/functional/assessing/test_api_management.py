import pytest

from shared.domain.network.firewall import Firewall
from shared.firewalls import build_firewall_kinds
from tests.fakes.ports import build_fakes
from tests.fakes.world import World
from tests.kinds.case import HOST, Json
from tests.kinds.firewalls.api_management import (
    build_api,
    build_ip_filter,
    build_policy,
    build_service,
)
from tests.unit.uncovered import build_tag_list, judge_tag

TAG = "PowerPlatformPlex.WestEurope"
TAGS = build_tag_list({TAG: ["20.61.88.128/26", "2603:1061:2004:7800::/56"]})
ALL, HALF, OTHER = "20.61.88.128-20.61.88.191", "20.61.88.128-20.61.88.159", "203.0.113.4"


async def read_firewalls(*resources: Json) -> dict[str, Firewall]:
    world = World()
    world.resources = {one["id"].lower(): one for one in resources}
    found = await build_firewall_kinds(build_fakes(world).ports.resources)["api_management"].read()
    return {one.name.removeprefix("apis"): one for one in found}


async def read_verdict(*inbound: str) -> str:
    """Return the verdict on the service tag `TAG` for a service with these inbound policies."""
    return judge_tag(
        (await read_firewalls(build_service(), build_policy(*inbound)))[""], TAG, TAGS
    ).verdict


@pytest.mark.parametrize(
    ("inbound", "expected"),
    [
        ((), "allowed"),
        ((build_ip_filter(ALL),), "allowed"),
        ((build_ip_filter(OTHER, HALF),), "partly_allowed"),
        ((build_ip_filter(OTHER),), "denied"),
        ((build_ip_filter(OTHER, action="forbid"),), "allowed"),
        ((build_ip_filter(HALF, action="forbid"),), "partly_allowed"),
        ((build_ip_filter(ALL), build_ip_filter(HALF)), "partly_allowed"),
        ((build_ip_filter(ALL), build_ip_filter(HALF, action="forbid")), "partly_allowed"),
        ((build_ip_filter(OTHER), build_ip_filter(ALL)), "denied"),
        ((f"<choose><when>{build_ip_filter(OTHER)}</when></choose>",), "unknown"),
        ((f"<choose><when>{build_ip_filter(ALL)}</when></choose>",), "allowed"),
        ((f"<choose><when>{build_ip_filter(ALL, action='forbid')}</when></choose>",), "unknown"),
        ((build_ip_filter("{{office}}"),), "unknown"),
        ((build_ip_filter(ALL, "@(context.Request.IpAddress)"),), "allowed"),
        ((build_ip_filter(ALL, action="{{action}}"),), "unknown"),
        (("<rewrite-uri template='@(1 < 2)' />",), "unknown"),
    ],
)
async def test_verdict_requires_every_filter_to_allow_the_caller(
    inbound: tuple[str, ...], expected: str
) -> None:
    assert await read_verdict(*inbound) == expected


async def test_api_adds_its_filters_to_those_of_its_service() -> None:
    """An API whose policy contains `<base />` also has the filters of its service."""
    found = await read_firewalls(
        build_service(),
        build_policy(build_ip_filter(ALL)),
        *(build_api(name) for name in ("narrow", "alone", "plain", "silent")),
        build_policy("<base />", build_ip_filter(HALF), api_name="narrow"),
        build_policy(api_name="alone"),
        build_policy("<base />", api_name="plain"),
    )

    verdicts = {name: judge_tag(one, TAG, TAGS).verdict for name, one in found.items()}
    assert verdicts == {"": "allowed", " → narrow": "partly_allowed", " → alone": "allowed"}
    assert found[" → narrow"].id.endswith("/service/apis#narrow")
    assert {host for one in found.values() for host in one.hosts} == {HOST, "apis.azure-api.net"}


async def test_service_without_public_access_denies_every_caller() -> None:
    found = await read_firewalls(
        build_service(publicNetworkAccess="Disabled"), build_policy(build_ip_filter(ALL))
    )

    assert judge_tag(found[""], TAG, TAGS).verdict == "denied"

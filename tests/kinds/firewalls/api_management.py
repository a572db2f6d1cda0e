"""Test data of the firewall kind *API Management service*."""

from collections.abc import Sequence
from ipaddress import ip_network

from tests.kinds.case import HOST, Json, build_resource, build_resources_case

_TYPE = "Microsoft.ApiManagement/service"


def build_service(**properties: object) -> Json:
    return build_resource(
        _TYPE,
        "apis",
        properties={
            "gatewayUrl": "https://apis.azure-api.net",
            "hostnameConfigurations": [{"type": "Proxy", "hostName": HOST}],
            **properties,
        },
    )


def build_api(name: str) -> Json:
    return build_resource(f"{_TYPE}/apis", "apis", name, properties={"path": name})


def build_policy(*inbound: str, api_name: str = "") -> Json:
    value = f"<policies><inbound>{''.join(inbound)}</inbound><backend /></policies>"
    if api_name:
        names = ("apis", api_name, "policy")
        return build_resource(f"{_TYPE}/apis/policies", *names, properties={"value": value})
    return build_resource(f"{_TYPE}/policies", "apis", "policy", properties={"value": value})


def build_ip_filter(*addresses: str, action: str = "allow") -> str:
    """Return an `ip-filter` with these addresses. A text with `-` is a range."""
    listed = (
        f'<address-range from="{one.partition("-")[0]}" to="{one.partition("-")[2]}" />'
        if "-" in one
        else f"<address>{one}</address>"
        for one in addresses
    )
    return f'<ip-filter action="{action}">{"".join(listed)}</ip-filter>'


def _build_resources(sources: Sequence[str]) -> list[Json]:
    networks = map(ip_network, sources)
    return [
        build_service(),
        build_policy(build_ip_filter(*(f"{one[0]}-{one[-1]}" for one in networks))),
    ]


CASE = build_resources_case("apis", "rest", _build_resources)

"""Test that the app parses recorded answers of the real platform."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.flow_service.access import PermissionEntity
from shared.adapters.flow_service.wire import FlowEntity, RunEntity
from shared.adapters.http.wire import Wire, parse_wire
from shared.adapters.power_platform import EnvironmentEntity
from shared.domain.environment import PolicyLinkStatus
from shared.domain.flow import FlowRun
from shared.domain.network.service_tags import parse_service_tags

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set"),
]

ENVIRONMENTS = frozenset(
    {
        "Microsoft.BusinessAppPlatform/scopes/environments",
        "Microsoft.BusinessAppPlatform/scopes/admin/environments",
        "Microsoft.BusinessAppPlatform/environments",
    }
)
FLOWS = frozenset({"Microsoft.ProcessSimple/environments/flows"})
RUNS = frozenset({"Microsoft.ProcessSimple/environments/flows/runs"})
PERMISSIONS = frozenset({"/providers/Microsoft.ProcessSimple/environments/flows/permissions"})


def find_corpus() -> Path:
    return Path(os.environ["FLOW_CORPUS"])


def read_recorded_items(types: frozenset[str]) -> Iterator[dict[str, object]]:
    for file in sorted((find_corpus() / "api").rglob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        listed = document.get("value") if isinstance(document, dict) else document
        for item in listed if isinstance(listed, list) else [document]:
            if isinstance(item, dict) and str(item.get("type")) in types and "name" in item:
                yield item


def parse_all[T: Wire](model: type[T], types: frozenset[str], least: int) -> list[T]:
    """Return every recorded item of some types, parsed. Fails if there are fewer than `least`."""
    read = [parse_wire(model, item) for item in read_recorded_items(types)]
    assert len(read) >= least
    return read


def test_every_recorded_environment_is_parsed() -> None:
    environments = [e.to_domain() for e in parse_all(EnvironmentEntity, ENVIRONMENTS, 100)]

    links = [environment.policy for environment in environments if environment.policy]
    assert links
    assert {link.status for link in links} == {PolicyLinkStatus.LINKED}
    assert all(link.policy_id.startswith("/subscriptions/") for link in links)
    assert any(environment.region for environment in environments)
    assert any(environment.dataverse_url for environment in environments)
    assert any(environment.is_managed for environment in environments)


def test_every_recorded_flow_is_parsed() -> None:
    """Definitions from the flow service have the format of definitions from Dataverse."""
    flows = parse_all(FlowEntity, FLOWS, 5)

    assert {flow.properties.state for flow in flows} == {"Started", "Deleted"}
    whole = [flow.to_detail() for flow in flows if flow.properties.definition]
    assert whole
    for detail in whole:
        properties = json.loads(detail.client_data or "")["properties"]
        assert properties["definition"]["triggers"]
        for reference in properties["connectionReferences"].values():
            assert reference["api"]["name"].startswith("shared_")
            assert reference["runtimeSource"] in ("embedded", "invoker")


def test_every_recorded_run_is_parsed() -> None:
    runs: list[FlowRun] = [run.to_domain() for run in parse_all(RunEntity, RUNS, 5)]

    assert all(run.started_at.tzinfo for run in runs)
    assert any(run.trigger_url_id for run in runs)


def test_every_recorded_permission_is_parsed() -> None:
    for permission in parse_all(PermissionEntity, PERMISSIONS, 3):
        domain = permission.to_domain()
        assert domain.role
        assert domain.principal_id


def test_published_service_tag_list_is_parsed() -> None:
    [file] = (find_corpus() / "servicetags").glob("ServiceTags_Public_*.json")

    tags = parse_service_tags(json.loads(file.read_bytes()))

    plex = tags.find("PowerPlatformPlex")
    assert plex is not None
    assert any(":" in prefix for prefix in plex.prefixes)
    assert tags.change_number == 371


def test_recorded_service_tag_list_of_the_api_is_parsed() -> None:
    file = find_corpus() / "servicetags" / "arm_api_serviceTags_before_plex.json"

    tags = parse_service_tags(json.loads(file.read_bytes()))

    assert [tag.name for tag in tags][:1] == ["ApiManagement"]

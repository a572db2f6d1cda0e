"""Test data of the caller kind *GitHub*."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.external_services.github import GitHub, seed_github
from shared.callers.github import GITHUB
from shared.domain.definitions.json_values import mapping_at, text_at
from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.fakes.traffic import UrlHolder
from tests.kinds.case import (
    CallerCase,
    Json,
    ManyPlaces,
    SearchRequests,
    WirePlaces,
    add_nothing,
)

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

TOKEN = "github_pat_test"


def add_document(
    build: Builder, path: str, document: Json, repository: str = "contoso/shop"
) -> str:
    """Add a document to a GitHub repository. Return its path."""
    return build.add_json_document(GITHUB, repository, f"repos/{repository}/{path}", document)


def add_callers(build: Builder, *flows: FakeFlow) -> list[str]:
    """Add for each flow a webhook or a variable, by turns, with its URL. Return their paths."""
    paths = []
    for number, flow in enumerate(flows):
        url = build.get_trigger_url(flow)
        document: Json = (
            {"name": f"URL{number}", "value": url}
            if number % 2
            else {"id": number, "config": {"url": url, "content_type": "json"}}
        )
        name = f"actions/variables/URL{number}" if number % 2 else f"hooks/{number}"
        path = add_document(build, name, document)
        build.add_system(UrlHolder(name=name, read=partial(_read_url, build, path)))
        paths.append(path)
    return paths


def _read_url(build: Builder, path: str) -> str:
    document = build.world.json_documents[GITHUB.name][path]
    return text_at(document, "value") or text_at(mapping_at(document, "config"), "url") or ""


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    hook = {"id": 7, "events": ["push"], "config": {"url": url, "secret": "x", "insecure_ssl": "0"}}
    seed_github(app.world.tenant, {"repositories": [{"name": "contoso/shop", "hooks": [hook]}]})


def _add_places(seed: Json, url: str) -> None:
    """Add a repository to a seed, with a variable and with a webhook that has a secret."""
    config = {"url": url, "content_type": "json", "secret": "x", "insecure_ssl": "0"}
    variable = {"name": "FLOW", "value": f"{url}&from=github"}
    repository = {
        "name": "contoso/shop",
        "hooks": [{"id": 7, "events": ["push"], "config": config}],
        "variables": [variable, {"name": "COLOUR", "value": "blue"}],
    }
    seed["github"] = {"token": TOKEN, "repositories": [repository]}


def _read_places(tenant: Tenant) -> Mapping[str, object]:
    repository = tenant.get_part(GitHub).repositories["contoso/shop"]
    return {"webhooks of GitHub": repository.hooks, "variables of GitHub": repository.variables}


CASE = CallerCase(
    add=add_callers,
    remove=lambda build: build.world.json_documents.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Webhooks, variables and secrets of the repository of the seed.
    requests=SearchRequests(
        standard=3, without_places=0, many=ManyPlaces(add=add_nothing, requests=3)
    ),
    wire=WirePlaces(
        settings={"github_repositories": ("contoso/shop",), "github_token": TOKEN},
        standard_seed={"github": {"token": TOKEN, "repositories": [{"name": "contoso/shop"}]}},
        add=_add_places,
        read=_read_places,
    ),
)

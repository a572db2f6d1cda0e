"""Test that a third-party client and the app each find the URLs that the other has written."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.caller_edit import replace_references, revert_edits
from shared.domain.trigger_urls.signatures import find_signatures
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import JobBlocked
from shared.ports import CallerKind
from tests.contract.adapter_world import (
    Adapters,
    build_description,
    run_adapters,
)
from tests.fakes.services import build_kinds
from tests.kinds.callers.github import TOKEN
from tests.kinds.cases import MOVED_KINDS
from tests.local_cloud.tenant.tenant_world import HTTP_FLOW
from tests.third_party_clients.documented import compare_answers
from tests.third_party_clients.installed_clients import INSTALLED, World, needs_third_party_clients

CLIENTS = Path(__file__).with_name("clients")
COPY_ID = "c0" * 16
SITE_ROW = "51000000-0000-4000-8000-0000000000a1"
AGENT = "61000000-0000-4000-8000-0000000000b1"
PROJECT = {"id": "8d1f3a52-0000-4000-8000-000000000001", "name": "Sales"}

type Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A third-party client that checks the app, and the places to which it writes URLs."""

    client: str
    script: str
    #: By kind, how many places the app finds.
    places: dict[str, int]
    #: Changes the description of the tenant.
    seed: dict[str, Any] = field(default_factory=dict)


JUDGES = [
    Judge(client="SDK for Synapse", script="synapse_artifacts.py", places={"synapse": 3}),
    Judge(
        client="SDK for Azure DevOps",
        script="azure_devops_sdk.py",
        places={"azure_devops": 2},
        seed={"azureDevOps": [{"projects": [PROJECT]}]},
    ),
    Judge(client="PyGithub", script="pygithub.py", places={"github": 2}),
    Judge(
        client="Client for Dataverse",
        script="dataverse_client.py",
        places={"dataverse_webhook": 1, "power_pages": 1, "copilot_agent": 1},
        seed={
            "environments": [
                {
                    "rows": {
                        "powerpagesites": [{"powerpagesiteid": SITE_ROW, "name": "Contoso"}],
                        "powerpagecomponents": [
                            {"name": "Home", "content": "{}", "_powerpagesiteid_value": SITE_ROW}
                        ],
                        "bots": [{"botid": AGENT, "name": "Seller"}],
                        "botcomponents": [{"name": "Hello", "_parentbotid_value": AGENT}],
                    }
                }
            ]
        },
    ),
]


def build_tenant_description(judge: Judge) -> dict[str, Any]:
    """Return the description of the adapters' tenant, with what the client needs."""
    described = build_description()
    for section, items in judge.seed.items():
        for item, more in zip(described[section], items, strict=False):
            item |= more
    return described


async def run_client(world: World, judge: Judge, command: str, url: str) -> tuple[str, Rows]:
    """Run the client with the command `write` or `read`.

    Return its version, and its calls with their answers.
    """
    python = INSTALLED / "bin" / "python"
    ended = await world.run(python, CLIENTS / judge.script, command, URL=url, GITHUB_TOKEN=TOKEN)
    assert world.server.refused_hosts == []
    assert ended.code == 0, ended.stderr
    document = json.loads(ended.stdout)
    rows = [(name, answer) for name, answer in document["results"]]
    assert [one for one in rows if one[1].startswith("fails")] == []
    return document["about"], rows


async def find_callers(app: Adapters, judge: Judge, url_id: str) -> list[tuple[CallerKind, Caller]]:
    found, environments = list[tuple[CallerKind, Caller]](), await app.environments.list()
    for kind in (build_kinds(app)[name] for name in judge.places):
        try:
            async for one in kind.find(environments):
                if url_id in one.trigger_url_ids:
                    found.append((kind, one))
        except JobBlocked as err:  # at the end, it names the secrets that the client wrote
            if "secret" not in str(err):
                raise
    return found


@needs_third_party_clients
@pytest.mark.parametrize("judge", JUDGES, ids=lambda one: one.script)
async def test_client_and_app_change_the_same_places(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with run_adapters(monkeypatch, build_tenant_description(judge)) as app:
        world = World(tenant=app.world.tenant, server=app.world.server, folder=tmp_path)
        url = await app.world.get_trigger_url(HTTP_FLOW)
        url_id = find_trigger_urls(url)[0].url.trigger_url_id
        copy = url.replace(url_id, COPY_ID)
        known = [one.address for _, one in await find_callers(app, judge, url_id)]
        version, written = await run_client(world, judge, "write", url)
        _, before = await run_client(world, judge, "read", url)
        found, moved = await find_callers(app, judge, url_id), []
        for kind, caller in found:
            if kind.kind in MOVED_KINDS:
                assert caller.manual_reason == ""
                old = await kind.read(caller)
                done = replace_references(
                    old.text, is_json=kind.is_json, urls={url_id: copy}, flow_ids={}
                )
                await kind.write(caller, CallerContent(text=done.text, etag=old.etag))
                moved.append((kind, caller, old.text, done.edits))
        _, after = await run_client(world, judge, "read", url)
        for kind, caller, text, edits in moved:
            now = await kind.read(caller)
            back = revert_edits(now.text, edits, find_signatures(text))
            await kind.write(caller, CallerContent(text=back, etag=now.etag))
        _, reverted = await run_client(world, judge, "read", url)

    new = Counter(kind.kind for kind, one in found if one.address not in known)
    assert new == judge.places
    assert [one.replace(copy, url) for _, one in after] == [one for _, one in before]
    assert sum(one.count(copy) for _, one in after) >= len(moved)
    assert reverted == before
    rows = [*written, *after]
    compare_answers(
        judge.client,
        version,
        [(name, one.replace(url, "URL").replace(copy, "new URL")) for name, one in rows],
    )

"""Test `$batch` with azure-core, which writes and parses the multipart messages independently of
this project.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from azure.core.pipeline.transport import HttpRequest

from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.dataverse.batch import LONGEST, MOST
from shared.adapters.http.policies import find_proxies
from tests.contract.adapter_world import Adapters, run_adapters
from tests.local_cloud.tenant.dataverse_flow import WORKFLOWS
from tests.local_cloud.tenant.tenant_world import (
    APP,
    HTTP_FLOW,
    MAKER,
    ORG,
    ORG_API,
    PARENT_FLOW,
    UNLICENSED,
)

HOST = urlsplit(ORG_API).hostname or ""
BATCH = f"{ORG_API}/$batch"
ONE = f"{WORKFLOWS}({HTTP_FLOW})?$select=name"
OTHER = f"{WORKFLOWS}({PARENT_FLOW})?$select=name"
GONE = f"{WORKFLOWS}(f0000000-0000-4000-8000-00000000dead)"
GOES_ON = {"Prefer": "odata.continue-on-error"}
SHARED = "RetrieveSharedPrincipalsAndAccess(Target=@t)?@t={'@odata.id':'workflows(%s)'}"


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as made:
        yield made


@dataclass(frozen=True, slots=True)
class BatchResult:
    status: int
    kind: str
    parts: list[Any]

    @property
    def statuses(self) -> list[int]:
        return [part.status_code for part in self.parts]


async def run_batch(
    app: Adapters, *operations: HttpRequest, headers: dict[str, str] | None = None, who: str = APP
) -> BatchResult:
    request = HttpRequest("POST", BATCH)
    request.set_multipart_mixed(*operations, boundary=f"batch_{uuid4()}")
    request.prepare_multipart_body()
    return await send_batch(app, request, headers or {}, who)


async def send_batch(
    app: Adapters, request: Any, headers: dict[str, str], who: str = APP
) -> BatchResult:
    request.headers["Authorization"] = f"Bearer {app.world.issue_token(who, ORG)}"
    request.headers.update(headers)
    response: Any = await app.http._transport.send(request, proxies=find_proxies(HOST))
    await response.load_body()
    kind = response.content_type or ""
    is_read = request.multipart_mixed_info and kind.startswith("multipart")
    parts = [part async for part in response.parts()] if is_read else []
    return BatchResult(response.status_code, kind, parts)


def build_reads(*urls: str) -> list[HttpRequest]:
    return [HttpRequest("GET", url) for url in urls]


def parse_document(part: Any) -> Any:
    return json.loads(part.text())


def list_names(parts: Sequence[Any]) -> list[str]:
    return [parse_document(part)["name"] for part in parts]


async def test_answers_of_a_batch_have_the_order_of_its_operations(app: Adapters) -> None:
    host = ONE.removeprefix(ORG_API.partition("/api")[0])
    app.world.tenant.calls.reset()

    done = await run_batch(
        app, *build_reads(ONE, OTHER, host, f"workflows({PARENT_FLOW})?$select=name")
    )

    assert (done.status, done.statuses) == (200, [200] * 4)
    assert list_names(done.parts) == ["Receive order", "Parent", "Receive order", "Parent"]
    assert app.world.tenant.calls.capabilities == {"dataverse.read": 1}
    assert app.world.tenant.calls.batched == {"dataverse.get_workflow": 4}


async def test_error_ends_a_batch_without_continue_on_error(app: Adapters) -> None:
    stopped = await run_batch(app, *build_reads(ONE, GONE, OTHER))
    went_on = await run_batch(app, *build_reads(ONE, GONE, OTHER), headers=GOES_ON)

    assert (stopped.status, stopped.statuses) == (404, [200, 404])
    assert (went_on.status, went_on.statuses) == (200, [200, 404, 200])
    assert parse_document(went_on.parts[1])["error"]["code"] == "0x80040217"


async def test_batch_may_contain_functions_and_writes(app: Adapters) -> None:
    write = HttpRequest("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", {"If-Match": "*"})
    write.set_json_body({"name": "Renamed"})
    app.world.tenant.calls.reset()

    done = await run_batch(app, *build_reads(SHARED % HTTP_FLOW), write, *build_reads(ONE))

    assert done.statuses == [200, 204, 200]
    assert parse_document(done.parts[0]) == {"PrincipalAccesses": []}
    assert list_names(done.parts[2:]) == ["Renamed"]
    assert app.world.tenant.calls.capabilities == {"dataverse.read": 1, "dataverse.write": 1}


async def test_fault_of_a_route_applies_to_an_operation(app: Adapters) -> None:
    app.world.tenant.faults.add(
        Fault(route="dataverse.list_access", status=429, headers={"Retry-After": "7"})
    )

    done = await run_batch(
        app, *build_reads(SHARED % HTTP_FLOW, SHARED % PARENT_FLOW), headers=GOES_ON
    )

    assert done.statuses == [429, 200]
    assert done.parts[0].headers["Retry-After"] == "7"


async def test_each_operation_of_a_batch_checks_the_permissions(app: Adapters) -> None:
    owned = await run_batch(app, *build_reads(ONE, OTHER), headers=GOES_ON, who=MAKER)
    others = await run_batch(app, *build_reads(ONE, OTHER), headers=GOES_ON, who=UNLICENSED)

    assert (owned.statuses, others.statuses) == ([200, 200], [403, 403])
    assert (
        await run_batch(app, *build_reads(ONE), headers={"Authorization": "Bearer ?"})
    ).status == 401


@pytest.mark.parametrize(
    "operations",
    [
        build_reads(),
        build_reads(*[ONE] * (MOST + 1)),
        build_reads(BATCH),
        build_reads("https://other.api.crm4.dynamics.com/api/data/v9.2/workflows"),
        build_reads(f"{WORKFLOWS}?$filter={'x' * LONGEST}"),
    ],
    ids=["none", "too many", "a batch in it", "another host", "too long"],
)
async def test_invalid_batch_is_rejected_as_a_whole(
    app: Adapters, operations: list[HttpRequest]
) -> None:
    done = await run_batch(app, *operations)

    assert (done.status, done.kind) == (400, "application/json")


BINARY = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
READ = b"GET workflows HTTP/1.1\r\n\r\n\r\n--b--\r\n"
WHOLE = b"--b\r\n" + BINARY + b"\r\n" + READ
MIXED = "multipart/mixed; boundary=b"


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        (MIXED, WHOLE, 200),
        ("application/json", b'{"requests":[]}', 400),
        ("multipart/mixed", WHOLE, 400),
        (MIXED, WHOLE.replace(b"\r\n", b"\n"), 400),
        (MIXED, WHOLE.replace(b"binary", b"8bit"), 400),
        (MIXED, WHOLE.replace(b"application/http", MIXED.encode()), 400),
    ],
    ids=["whole", "JSON", "no boundary", "bare line feeds", "no binary part", "a change set"],
)
async def test_unsupported_batch_format_is_rejected(
    app: Adapters, kind: str, content: bytes, status: int
) -> None:
    request = HttpRequest("POST", BATCH, {"Content-Type": kind})
    request.set_bytes_body(content)

    assert (await send_batch(app, request, {})).status == status

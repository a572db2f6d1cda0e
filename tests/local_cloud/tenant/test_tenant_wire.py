import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.local_cloud.tenant.tenant_world import (
    ADMIN_FLOWS,
    BAP,
    SEED,
    TenantWorld,
)

ENVIRONMENTS = f"{BAP}/scopes/admin/environments"


#: A client that knows nothing of this project, told all by its environment.
_STRANGER = """
import sys, urllib.request
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())
"""


async def run_other_program(world: TenantWorld, url: str) -> tuple[int, str]:
    """Run a program that reads a URL through HTTPS_PROXY. Return its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _STRANGER, url,
        env={"HTTPS_PROXY": world.server.proxy_url, "SSL_CERT_FILE": world.server.ca_file},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_any_client_can_call_a_service_by_its_real_host_name(world: TenantWorld) -> None:
    code, output = await run_other_program(
        world, "https://login.microsoftonline.com/common/discovery/instance?api-version=1.1"
    )

    assert code == 0, output
    assert json.loads(output)["api-version"] == "1.1"


@pytest.mark.parametrize("url", ["https://example.com/", "https://graph.microsoft.com:8443/"])
async def test_tunnel_rejects_hosts_outside_the_tenant(world: TenantWorld, url: str) -> None:
    """A local run must send no request to other machines."""
    code, output = await run_other_program(world, url)

    assert await world.control("GET", "/refused-hosts") == world.server.refused_hosts
    assert code == 1
    assert "Tunnel connection failed: 403" in output
    assert world.server.refused_hosts == [
        url.removeprefix("https://").rstrip("/") + ("" if ":8443" in url else ":443")
    ]


async def test_fault_fails_the_given_number_of_requests(world: TenantWorld) -> None:
    order = {
        "route": "bap.list_environments",
        "times": 2,
        "status": 503,
        "headers": {"Retry-After": "7"},
    }
    await world.control("POST", "/faults", order)

    answers = [await world.call("GET", ENVIRONMENTS) for _ in range(3)]

    assert [answer.status for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"


async def test_dropped_answer_breaks_the_connection_after_the_write(world: TenantWorld) -> None:
    """The client cannot know that its write was made."""
    await world.control("POST", "/faults", {"route": "*.stop_flow", "kind": "drop_after"})
    flow = world.environment.order[0]
    await world.control("POST", "/faults", {"route": "*admin_stop_flow", "kind": "drop_after"})

    with pytest.raises(aiohttp.ClientError):
        await world.call("POST", f"{ADMIN_FLOWS}/flows/{flow.name}/stop", {})

    assert flow.state == "Stopped"


async def test_late_write_is_made_after_the_gateway_timeout(world: TenantWorld) -> None:
    """The client cannot know that its write will still be made."""
    flow = world.environment.order[0]
    await world.control("PUT", "/assumptions", {"late_write_seconds": 90})
    await world.control("POST", "/faults", {"route": "*admin_stop_flow", "kind": "late"})

    answer = await world.call("POST", f"{ADMIN_FLOWS}/flows/{flow.name}/stop", {})
    states = []
    for seconds in (80, 11):
        await world.control("POST", "/clock/advance", {"seconds": seconds})
        for _ in range(100):
            await asyncio.sleep(0)
        states.append(flow.state)

    assert (answer.status, states) == (504, ["Started", "Stopped"])


async def test_budget_throttles_until_time_has_passed(world: TenantWorld) -> None:
    await world.control("PUT", "/budgets", {"flow_service": {"calls": 5, "seconds": 60}})
    url = f"{ADMIN_FLOWS}/v2/flows"

    answers = [await world.call("GET", url) for _ in range(6)]
    await world.control("POST", "/clock/advance", {"seconds": 61})
    later = await world.call("GET", url)

    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert later.status == 200


async def test_calls_are_counted_per_route_and_capability(world: TenantWorld) -> None:
    """With these counts, tests check how many requests a job sends."""
    await world.control("POST", "/calls/reset")
    await world.call("GET", ENVIRONMENTS)
    await world.call("GET", f"{ADMIN_FLOWS}/v2/flows")
    await world.call("POST", f"{ADMIN_FLOWS}/flows/{world.environment.order[0].name}/start", {})

    calls = await world.control("GET", "/calls")

    assert calls["routes"] == {
        "bap.list_environments": 1,
        "flow_service.admin_list_flows": 1,
        "flow_service.admin_start_flow": 1,
    }
    assert calls["capabilities"] == {
        "bap.read": 1,
        "flow_service.read": 1,
        "flow_service.write": 1,
    }


async def test_invalid_control_request_is_rejected(world: TenantWorld) -> None:
    url = f"{world.server.control_url}/assumptions"

    async with world.session.put(url, json={"no_such_assumption": 1}) as response:
        assert response.status == 400


async def test_the_tenant_runs_as_a_process(tmp_path: Path) -> None:
    seed_file = tmp_path / "seed.json"
    seed_file.write_text(json.dumps(SEED))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local_cloud.tenant",
        "--seed",
        str(seed_file),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        ready = json.loads(await process.stdout.readline())
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{ready['control']}/clock") as response,
        ):
            assert response.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        code = await process.wait()

    assert code == 0
    assert set(ready) >= {"proxy", "identity_endpoint", "identity_header"}

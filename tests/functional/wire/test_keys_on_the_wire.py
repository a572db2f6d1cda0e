"""Microsoft's own client changes the key, and each change is told once and ends.

azure-keyvault-keys as it is published: it knows nothing of the app, and the app sees what it did.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys.aio import KeyClient

from local_cloud.tenant.azure.state import VAULTS, Azure
from shared.alerts import forget_settled
from shared.domain.finding import FindingLevel
from shared.use_cases.check_keys import check_keys
from shared.use_cases.run_daily_check import run_daily_check
from tests.functional.wire.wire_scenario import WireScenario, wire_scenario
from tests.functional.wire.wire_seed import orders, tenant_seed
from tests.local_cloud.tenant.azure_world import Credential
from tests.local_cloud.tenant.tenant_world import VAULT_ID

KEY, URL = "pp-cmk", "https://kv-cmk.vault.azure.net"
DAY = 86_400


async def test_who_may_use_the_key_and_the_way_to_it_are_read_as_azure_shows_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A role that is taken away, a vault closed to trusted services; the key's own, and by name."""
    async with wire_scenario(monkeypatch, tmp_path, tenant_seed(orders())) as scenario:
        azure = scenario.tenant.part(Azure)
        by_name = await check_keys(scenario.services, vault="KV-CMK", key=KEY)
        by_id = await check_keys(scenario.services, vault=VAULT_ID, key=KEY)
        azure.role_assignments.clear()
        vault = azure.resources.find(VAULTS, VAULT_ID)
        assert vault is not None
        vault["properties"]["networkAcls"] = {"defaultAction": "Deny", "bypass": "None"}
        [closed] = await check_keys(scenario.services)

    assert [one.level for one in (*by_name, *by_id)] == [FindingLevel.OK, FindingLevel.OK]
    assert [
        (one.code, one.level) for one in closed.findings if one.level is not FindingLevel.OK
    ] == [
        ("vault_network", FindingLevel.PROBLEM),
        ("key_grants", FindingLevel.PROBLEM),
    ]


async def test_a_vault_as_microsoft_recommends_it_leaves_nothing_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Closed but for trusted services: the app is kept out, and reads the key all the same."""
    async with wire_scenario(monkeypatch, tmp_path, tenant_seed(orders())) as scenario:
        vault = scenario.tenant.part(Azure).resources.find(VAULTS, VAULT_ID)
        assert vault is not None
        vault["properties"]["networkAcls"] = {"defaultAction": "Deny", "bypass": "AzureServices"}
        [by_policy] = await check_keys(scenario.services)
        async with key_client(scenario) as keys:
            with pytest.raises(HttpResponseError, match="is not a trusted service"):
                await keys.get_key(KEY)

    assert {one.level for one in by_policy.findings} == {FindingLevel.OK}


@asynccontextmanager
async def key_client(scenario: WireScenario) -> AsyncIterator[KeyClient]:
    """Give Microsoft's client, unmodified; it reaches the tenant as it would reach Azure."""
    async with KeyClient(
        URL,
        Credential(scenario.tenant),
        proxies={"https": scenario.server.proxy_url},
        connection_verify=scenario.server.ca_file,
    ) as client:
        yield client


async def checked(scenario: WireScenario, date: str) -> list[tuple[str, str]]:
    """Run a daily check a day later, and return the reason code and check of each key alert."""
    scenario.tenant.clock.advance(DAY)
    await run_daily_check(scenario.services, date)
    await forget_settled(scenario.services)
    tables = scenario.services.tables
    checks = {tables.key_alerts.name_of(row): row for row in await tables.key_alerts.all()}
    notices = await tables.alerts.all("alert")
    return sorted(
        (one.reason_code, checks[one.row].finding.code) for one in notices if one.row in checks
    )


async def test_a_key_that_is_rotated_disabled_and_expired_gives_each_finding_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rotation causes no alert. Each other change causes one, which ends when it is reverted."""
    async with wire_scenario(monkeypatch, tmp_path, tenant_seed(orders())) as scenario:
        now = scenario.tenant.clock.now
        sound = await checked(scenario, "day-1")
        async with key_client(scenario) as keys:
            old = (await keys.get_key(KEY)).properties
            new = (await keys.rotate_key(KEY)).properties
            rotated = await checked(scenario, "day-2")
            await keys.update_key_properties(KEY, old.version, enabled=False)
            early = await checked(scenario, "day-3"), await checked(scenario, "day-4")
            await keys.update_key_properties(KEY, old.version, enabled=True)
            await keys.update_key_properties(KEY, new.version, enabled=False)
            disabled = await checked(scenario, "day-5")
            await keys.update_key_properties(
                KEY, new.version, enabled=True, expires_on=now() + timedelta(days=3)
            )
            nearing = await checked(scenario, "day-6"), await checked(scenario, "day-7")
            expired = await checked(scenario, "day-8"), await checked(scenario, "day-9")
            await keys.rotate_key(KEY)
            mended = await checked(scenario, "day-10")

    told = [
        one for one in caplog.messages if one.startswith('action required | {"reason_code": "key_')
    ]
    locked = ("key_problem", "policy_health")  # the tenant has locked its environments
    assert sound == rotated == mended == []
    assert early == ([locked, ("key_problem", "previous_versions")],) * 2
    assert disabled == [("key_problem", "key_enabled"), locked]
    assert nearing == ([("key_warning", "key_validity")],) * 2
    assert expired == ([("key_problem", "key_validity"), locked],) * 2
    assert len(told) == 6  # locked twice: it was well in between

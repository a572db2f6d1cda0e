import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from azure.keyvault.keys.aio import KeyClient

from cmkflow import signing_key
from cmkflow.evidence_check import ExpectedEvidence, check_evidence
from cmkflow.evidence_seals import EvidenceFindings
from functions.evidence_file import create_evidence_file
from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.time_stamps.endpoints import HOST
from shared.domain.evidence_file import read_signature
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.time_stamps import load_certificates
from shared.use_cases.collect_evidence import read_evidence
from shared.use_cases.seal_audit_log import seal_audit_log
from shared.use_cases.start_remediation import start_remediation
from tests.contract.adapter_world import build_trusting_transport
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.azure_world import Credential
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT

URL = "https://kv-cmk.vault.azure.net"
KEY_URL = f"{URL}/keys/pp-cmk"


async def export_evidence(scenario: WireScenario) -> bytes:
    """Start an assessment, and return its evidence file."""
    started = Remediation(
        created_at=scenario.services.now,
        mode=RemediationMode.ASSESS,
        start_source=StartSource.API_REQUEST,
        idempotency_key="evidence",
        environment_ids=(ENVIRONMENT,),
    )
    await start_remediation(scenario.services, started)
    return await create_evidence_file(await read_evidence(scenario.services, started.id))


async def check_file(scenario: WireScenario, content: bytes) -> EvidenceFindings:
    """Check an evidence file as `cmkflow` does, with the public key from the vault."""
    _, signature = read_signature(io.BytesIO(content))
    key_id = "" if isinstance(signature, str) else signature.key_id
    key = await signing_key.read_signing_key(key_id or KEY_URL)
    async with scenario.session.get(
        f"https://{HOST}/root.pem", proxy=scenario.server.proxy_url
    ) as answer:
        root = load_certificates(await answer.read())
    expected = ExpectedEvidence(
        key_id=KEY_URL, tsa_certificates=tuple(root), read_public_key=lambda _: key.public_key
    )
    return check_evidence(io.BufferedReader(io.BytesIO(content)), expected)


async def test_evidence_is_signed_and_time_stamped_unless_a_service_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        monkeypatch.setattr(
            signing_key, "AzureCliCredential", lambda: _Entered(Credential(scenario.tenant))
        )
        ca_file = scenario.server.ca_file
        monkeypatch.setattr(
            signing_key, "build_default_transport", lambda: build_trusting_transport(ca_file)
        )
        settings = scenario.services.settings.model_copy(
            update={"evidence_key": KEY_URL, "time_stamp_authority": f"https://{HOST}/"}
        )
        scenario.services = replace(scenario.services, settings=settings)
        await seal_audit_log(scenario.services)
        first = await export_evidence(scenario)
        async with KeyClient(
            URL,
            Credential(scenario.tenant),
            proxies={"https": scenario.server.proxy_url},
            connection_verify=scenario.server.ca_file,
        ) as keys:
            await keys.rotate_key("pp-cmk")
        scenario.tenant.clock.advance(timedelta(days=1).total_seconds())
        await seal_audit_log(scenario.services)
        second = await export_evidence(scenario)
        checked = [await check_file(scenario, one) for one in (first, second)]
        scenario.tenant.faults.add(
            Fault(route="key_vault.sign", times=None, status=429, code="Throttled")
        )
        throttled = await export_evidence(scenario)
        rejected = await check_file(scenario, throttled)
        scenario.tenant.faults.clear()
        scenario.tenant.faults.add(Fault(route="time_stamps.issue_time_stamp", times=None))
        undated = await check_file(scenario, await export_evidence(scenario))
        seals = await scenario.services.tables.audit_seals.read_all("seal")

    assert [one.problems for one in checked] == [[], []]
    assert first != second
    assert len({seal.signature.key_id for seal in seals}) == 2
    _, reason = read_signature(io.BytesIO(throttled))
    assert isinstance(reason, str)
    assert reason.startswith("the key vault did not sign it: ")
    missing = "Not verified: when the file was signed."
    assert rejected.problems == [
        f"Not signed: {reason}.",
        f"No time stamp: the file is not signed. {missing}",
    ]
    (problem,) = undated.problems
    assert problem.startswith("No time stamp: Time stamp authority: ")
    assert problem.endswith(f"then export the evidence again. {missing}")


class _Entered:
    """A context manager that yields a credential of the tenant, not the Azure CLI's."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def __aenter__(self) -> Credential:
        return self._credential

    async def __aexit__(self, *_: object) -> None: ...

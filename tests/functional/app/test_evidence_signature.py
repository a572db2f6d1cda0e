import io
import json
from dataclasses import replace

import pytest

from functions import (
    evidence_api,
)
from shared.bootstrap import provide
from shared.domain.evidence_file import (
    SIGNATURE,
    read_signature,
    read_time_stamp,
)
from shared.domain.signature import Signature, SigningKey
from shared.errors import PlatformError, ServiceUnavailable, ThrottledError
from shared.ports import SigningKeys
from shared.signatures import is_signature_valid
from shared.time_stamps import verify_time_stamp
from tests.fakes.evidence_key import KEY_URL, add_evidence_key
from tests.fakes.services import build_fake_settings
from tests.functional.app.evidence_scenario import (
    build_evidence_scenario,
    export_evidence,
    extract_files,
)
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    return await build_evidence_scenario()


async def export_signed_manifest(scenario: Scenario) -> tuple[bytes, Signature | str]:
    scenario.settings = build_fake_settings(evidence_key=KEY_URL)
    return read_signature(io.BytesIO(await export_evidence(scenario)))


async def test_evidence_is_signed_with_the_current_key_version(scenario: Scenario) -> None:
    await scenario.order()
    add_evidence_key(scenario.world)
    newest = add_evidence_key(scenario.world)

    manifest, signature = await export_signed_manifest(scenario)

    assert isinstance(signature, Signature)
    assert (signature.key_id, signature.algorithm) == (newest, "RS256")
    assert is_signature_valid(signature, manifest)
    assert not is_signature_valid(signature, manifest + b" ")
    assert await export_signed_manifest(scenario) == (manifest, signature)


async def test_evidence_without_a_key_has_the_reason_instead_of_a_signature(
    scenario: Scenario,
) -> None:
    await scenario.order()

    _, signature = read_signature(io.BytesIO(await export_evidence(scenario)))

    assert signature == "no key is configured (CMK_EVIDENCE_KEY)"


class _FailingSigningKeys:
    def __init__(self, keys: SigningKeys, method: str, error: Exception) -> None:
        self._keys, self._method, self._error = keys, method, error

    async def read(self, key_url: str) -> SigningKey:
        self._fail("read")
        return await self._keys.read(key_url)

    async def sign(self, key: SigningKey, digest: bytes) -> bytes:
        self._fail("sign")
        return await self._keys.sign(key, digest)

    def _fail(self, method: str) -> None:
        if method == self._method:
            raise self._error


@pytest.mark.parametrize(
    "error",
    [
        PlatformError("not for you", code="Forbidden", status=403),
        ThrottledError("too many requests"),
        ServiceUnavailable("Key Vault: timeout"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", ["read", "sign"])
async def test_evidence_is_exported_without_signature_if_the_vault_fails(
    scenario: Scenario, method: str, error: Exception
) -> None:
    await scenario.order()
    add_evidence_key(scenario.world)
    scenario.settings = build_fake_settings(evidence_key=KEY_URL)
    keys = _FailingSigningKeys(scenario.services.signing_keys, method, error)
    provide(replace(scenario.services, signing_keys=keys))

    reply = await call(evidence_api.show_evidence, id=scenario.remediation.id)

    assert reply.status == 200
    _, signature = read_signature(io.BytesIO(reply.content))
    assert signature == f"the key vault did not sign it: {error}"


async def test_evidence_is_exported_without_signature_if_the_key_is_missing_or_off(
    scenario: Scenario,
) -> None:
    await scenario.order()

    _, missing = await export_signed_manifest(scenario)
    add_evidence_key(scenario.world, is_enabled=False)
    _, disabled = await export_signed_manifest(scenario)

    assert isinstance(missing, str)
    assert "no key evidence" in missing
    assert isinstance(disabled, str)
    assert "KeyDisabled" in disabled


async def export_stamped_signature(
    scenario: Scenario, **settings: str
) -> tuple[bytes, bytes | str]:
    scenario.settings = build_fake_settings(
        **{"evidence_key": KEY_URL, "time_stamp_authority": "https://tsa.example/", **settings}
    )
    return read_time_stamp(io.BytesIO(await export_evidence(scenario)))


async def test_evidence_has_a_time_stamp_of_its_signature(
    scenario: Scenario,
) -> None:
    """The signature covers the manifest, so the time stamp dates every file in the manifest."""
    await scenario.order()
    add_evidence_key(scenario.world)

    signature, answer = await export_stamped_signature(scenario)

    assert isinstance(answer, bytes)
    assert verify_time_stamp(answer, signature).at == scenario.world.clock.now().replace(
        microsecond=0
    )
    assert json.loads(signature)["key_id"] == f"{KEY_URL}/v1"


async def test_evidence_without_signature_or_authority_has_no_time_stamp(
    scenario: Scenario,
) -> None:
    await scenario.order()

    _, unsigned = await export_stamped_signature(scenario, evidence_key="")
    add_evidence_key(scenario.world)
    _, unset = await export_stamped_signature(scenario, time_stamp_authority="")

    assert unsigned == "the file is not signed"
    assert unset == "no time stamp authority is configured (CMK_TIME_STAMP_AUTHORITY)"


class _FailingAuthority:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def stamp(self, authority: str, content: bytes) -> bytes:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        PlatformError("the request was rejected", code="BadTimeStamp", status=502),
        ThrottledError("too many requests"),
        ServiceUnavailable("Time stamp authority: timeout"),
    ],
    ids=repr,
)
async def test_evidence_is_exported_without_time_stamp_if_the_authority_fails(
    scenario: Scenario, error: Exception
) -> None:
    await scenario.order()
    add_evidence_key(scenario.world)
    scenario.settings = build_fake_settings(
        evidence_key=KEY_URL, time_stamp_authority="https://tsa.example/"
    )
    provide(replace(scenario.services, time_stamps=_FailingAuthority(error)))

    reply = await call(evidence_api.show_evidence, id=scenario.remediation.id)

    assert reply.status == 200
    assert SIGNATURE in extract_files(reply.content)
    assert not isinstance(read_signature(io.BytesIO(reply.content))[1], str)
    _, reason = read_time_stamp(io.BytesIO(reply.content))
    assert reason == (f"{error}. Check CMK_TIME_STAMP_AUTHORITY, then export the evidence again")

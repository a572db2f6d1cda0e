"""Test the `cmkflow` and curl commands of the documents against the app in memory.

A command must succeed while a plan awaits approval, or after all flows are retired.
"""

import base64
import hashlib
import json
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from local_cloud.tenant.azure.key_material import get_private_key, sign_digest
from local_cloud.tenant.time_stamps.token_signer import TokenSigner
from shared.bootstrap import provide
from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.evidence_file import EvidenceFile
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.domain.signature import Signature, format_signature
from shared.signatures import format_public_key
from shared.time_stamps import build_time_stamp_query
from shared.use_cases.declare_callers import declare_callers
from shared.use_cases.manage_firewall_fixes import FirewallFixInput, apply_fix
from shared.use_cases.report_failed_runs import report_failed_runs
from shared.use_cases.start_assessment import start_assessment
from tests.command_tree import build_command_tree
from tests.documented_commands import ROOT, Command, list_documented_commands
from tests.fakes import definition_builder as define
from tests.functional.cli.cli_app import deliver_messages, serve_app
from tests.functional.planning.test_support_requests import open_support_request
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.case import SUBSCRIPTION, Json
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule

#: `tests/e2e/test_first_hour.py` types all of this page.
_FIRST_HOUR = "docs/first-hour.md"
#: They sign in at Entra: test_cli_operator.py and test_sign_in_command.py run them on the tenant.
#: They read and write a storage account: test_cli_state.py runs them.
_ELSEWHERE = (("service-account", "sign-in"), ("login",), ("state",))
#: The options of curl that the documents use.
_CURL = ArgumentParser()
_CURL.add_argument("-X", dest="method")
_CURL.add_argument("-H", dest="header", action="append")
_CURL.add_argument("--json")
_CURL.add_argument("url")

_ANYBODY = Principal(name="tests", roles=frozenset(Role), kind=PrincipalKind.USER)

#: A firewall that lacks the new addresses, and the placeholders for its firewall issue.
_RULE = build_security_rule("flows", 100, sourceAddressPrefix="LogicApps.WestEurope")
_NAME = "nsg-erp"
_GROUP: Json = build_security_group(_RULE) | {"name": _NAME}
_GROUP["id"] = f"{_GROUP['id'].rpartition('/')[0]}/{_NAME}"
_GAP = f"network_security_group:{_GROUP['id'].lower()}"
_GAPS = ("GAP", "network_security_group:", "refused_call:HOST")


def _list_commands() -> list[Command]:
    found = {
        one.words: one
        for one in list_documented_commands()
        if one.words[0] == "cmkflow"
        and not any(one.words[1 : 1 + len(words)] == words for words in _ELSEWHERE)
        and not (one.is_fenced and one.page == _FIRST_HOUR)
        and (one.is_fenced or one.words[1:] not in build_command_tree())
    }
    return list(found.values())


def _list_calls() -> list[Command]:
    return [one for one in list_documented_commands() if "$APP/api/" in one.text]


async def _run_documented_command(
    attempt: Callable[[Scenario], Awaitable[str]], declared: str = ""
) -> None:
    """Require that a command succeeds while a plan awaits approval, or after the retirement.

    `attempt` runs the command. It returns its error, or "" if the command succeeded.
    """
    scenario = Scenario(has_azure_firewalls=True)
    scenario.settings = scenario.settings.model_copy(update={"subscription_ids": (SUBSCRIPTION,)})
    scenario.world.service_tags = {
        "PowerPlatformPlex.WestEurope": ["10.0.0.0/24"],
        "LogicApps.WestEurope": ["10.9.0.0/24"],
    }
    scenario.world.resources[_GROUP["id"].lower()] = deepcopy(_GROUP)
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    await scenario.opt_in(report_failed_runs=True)
    if declared:
        flow = CalledFlow(environment_id=scenario.build.environment.id, flow_id="Orders")
        caller = DeclaredCaller(name=declared, owner="Alex", contact="alex", flows=(flow,))
        await declare_callers(scenario.services, [caller])
    await open_support_request(scenario)
    services = scenario.services
    environment = await services.environments.get(scenario.build.environment.id)
    await report_failed_runs(services, environment, started_at=services.now)
    provide(services)
    if while_planned := await attempt(scenario):
        await scenario.approve(run=timedelta(days=25))
        await apply_fix(scenario.services, FirewallFixInput(resource=_NAME, requested_by="tests"))
        provide(scenario.services)
        when_retired = await attempt(scenario)
        assert when_retired == "", while_planned


def _fill_in(words: tuple[str, ...], scenario: Scenario) -> list[str]:
    """Replace each placeholder in the words by a value of the scenario."""
    flow = next(iter(scenario.build.environment.flows))
    environment = scenario.build.environment.id
    examples: dict[str, str] = {
        "ENVIRONMENT": environment,
        "ENV": environment,
        "FLOW": flow,
        "REMEDIATION": scenario.remediation.id,
        "REQUEST": f"run-history-{environment}",
        "NUMBER": "2603020050001234",
        "DATE": f"{scenario.world.clock.now() + timedelta(days=10):%Y-%m-%d}",
        "MODE": "required",
        "PATH": "flow.json",
        "FILE": "evidence.zip",
        "NAME": _GAP if "ignore" in words else _NAME,
        **dict.fromkeys(("RESOURCE", "GROUP", "FIREWALL"), _NAME),
        **dict.fromkeys(_GAPS, _GAP),
    }
    return [
        (flow if before == "--flow" else environment)
        if word == "ID"
        else examples.get(word.rstrip("…"), word)
        for before, word in zip(("", *words), words, strict=False)
    ]


def _write_evidence(folder: Path) -> None:
    """Write a signed evidence file, its public key and its root certificate."""
    (folder / "parts").mkdir()
    pack = EvidenceFile(folder / "parts")
    manifest = pack.build_manifest({})
    key = get_private_key("evidence", 0, 2048)
    numbers = key.public_key().public_numbers()
    signature = Signature(
        key_id="https://kv-name.vault.azure.net/keys/evidence/1",
        public_key=format_public_key(modulus=numbers.n, exponent=numbers.e),
        value=base64.b64encode(sign_digest(key, hashlib.sha256(manifest).digest())).decode(),
    )
    content = format_signature(signature)
    authority = TokenSigner("Contoso time stamps", datetime.now(UTC))
    answer = authority.answer(build_time_stamp_query(content).as_bytes(), datetime.now(UTC))
    (folder / "tsa.pem").write_bytes(authority.pem)
    (folder / "evidence.zip").write_bytes(pack.build_zip(manifest, content, answer))
    (folder / "evidence.pem").write_text(signature.public_key)


def _write_callers(file: Path, environment_id: str) -> None:
    """Write the callers file of docs/callers.md, with the scenario's environment id."""
    page = (ROOT / "docs/callers.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file.write_text(re.sub(r"environment_id: \S+", f"environment_id: {environment_id}", example))


@pytest.mark.parametrize("command", _list_commands(), ids=str)
async def test_documented_command_succeeds(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.json").write_text(
        define.build_client_data("orders", define.build_http_trigger(), {})
    )
    (tmp_path / "exported").mkdir()
    _write_evidence(tmp_path)
    tags = {
        "name": "PowerPlatformPlex.WestEurope",
        "properties": {"addressPrefixes": ["10.0.0.0/8"]},
    }
    for edition in (10, 17):
        published = tmp_path / f"ServiceTags_Public_202511{edition}.json"
        published.write_text(json.dumps({"changeNumber": edition, "values": [tags]}))

    async def attempt(scenario: Scenario) -> str:
        words = _fill_in(command.words[1:], scenario)
        async with AsyncExitStack() as running:
            cli = await running.enter_async_context(serve_app())
            if words[0] == "caller":
                _write_callers(tmp_path / "callers.yaml", scenario.build.environment.id)
            if words[0] == "assess":  # it waits for the app's work
                await running.enter_async_context(deliver_messages(scenario.driver))
                ordered = await start_assessment(
                    scenario.services, scenario.build.environment.id, AssessmentRequest(), _ANYBODY
                )
                words = [ordered.id if word == "ASSESSMENT" else word for word in words]
            done = await cli.run(*words, answer="y\n")
        # A retry finds nothing blocked in either scenario, and says so.
        is_done = done.exit_code == 0 or "Nothing was retried." in done.output
        return "" if is_done else done.output

    is_confirmed = command.words[1:3] == ("caller", "confirm")
    await _run_documented_command(attempt, declared=command.words[3] if is_confirmed else "")


@pytest.mark.parametrize("command", _list_calls(), ids=str)
async def test_documented_curl_call_succeeds(command: Command) -> None:
    async def attempt(scenario: Scenario) -> str:
        ids = {
            "a6f2c1de-0000-4000-8000-000000000003": scenario.build.environment.id,
            "8c2e3f7a-0000-4000-8000-000000000001": next(iter(scenario.build.environment.flows)),
            "8c2e3f7a-0000-4000-8000-000000000002": next(iter(scenario.build.environment.flows)),
            "$ENVIRONMENT": scenario.build.environment.id,
            "$REMEDIATION": scenario.remediation.id,
        }
        async with serve_app() as cli:
            text = command.text.replace("$APP", cli.url.rstrip("/"))
            # Here a key stands for who is signed in.
            text = text.replace("Authorization: Bearer $TOKEN", f"x-functions-key: {cli.key}")
            for example, identity in ids.items():
                text = text.replace(example, identity)
            options = _CURL.parse_args(shlex.split(text)[1:])
            headers = dict(header.split(": ", 1) for header in options.header)
            method = options.method or ("POST" if options.json else "GET")
            if options.json:
                headers["Content-Type"] = "application/json"
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.request(method, options.url, data=options.json) as reply,
            ):
                return "" if reply.status < 400 else f"{reply.status} {await reply.text()}"

    await _run_documented_command(attempt)

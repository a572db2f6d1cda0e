import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import pytest

from functions import callers_page_api, declared_callers_api
from functions.caller_lines import parse_caller_lines
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.flow import FlowListEntry, FlowServiceFlow, WorkflowSummary
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.principal import Role
from shared.domain.trigger_urls.signatures import find_signatures
from shared.errors import FlowNotFound, PlatformError, ThrottledError
from shared.ports import FlowReports, ResultPage
from shared.use_cases import import_callers as importing
from shared.use_cases.declare_callers import (
    declare_called_flow,
    declare_callers,
    list_declared_callers,
)
from shared.use_cases.import_callers import ImportPreview, import_callers, preview_import
from tests.fakes.fault_injection import Failing
from tests.functional.app.dashboard_scenario import read_text
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

ANNA = build_sign_in_header("anna@contoso.example")
EVE = build_sign_in_header("eve@contoso.example", [Role.READER])
SECRET = "https://till.vault.azure.net/secrets/post-url"
ROUTES = {
    "/api/declared-callers/flows": declared_callers_api.declare_called_flow,
    "/api/declared-callers/confirm": declared_callers_api.confirm_caller,
    "/api/declared-callers/remove": declared_callers_api.remove_declared_caller,
    "/api/declared-callers/import": declared_callers_api.import_callers,
}


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    for name in ("Orders", "Returns"):
        scenario.build.add_http_flow(name)
    provide(scenario.services)
    return scenario


async def show_page(headers: dict[str, str] = ANNA, /, **query: str) -> Reply:
    reply = await call(callers_page_api.show_callers_page, headers=headers, query=query)
    assert reply.status == 200, reply.text
    return reply


async def send_form(shown: Reply, button: str, **values: str) -> Reply:
    forms = re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', shown.text, re.DOTALL)
    action, content = next(one for one in forms if f">{button}</button>" in one[1])
    inputs = re.findall(r'<input type="\w+" name="([^"]+)" value="([^"]*)"', content)
    fields = {name: unescape(value) for name, value in inputs}
    assert values.keys() <= fields.keys()
    headers = {**ANNA, "Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
    headers["Referer"] = "https://app.example/api/dashboard/callers"
    body = urlencode({**fields, **values}).encode()
    path = action.removeprefix("/api/")
    return await call(ROUTES[action], body, headers=headers, path=path)


async def follow_redirect(reply: Reply) -> Reply:
    assert reply.status == 303, reply.text
    path, _, query = reply.headers["Location"].partition("?")
    assert path == "/api/dashboard/callers"
    return await show_page(ANNA, **dict(parse_qsl(query)))


async def declare_till(scenario: Scenario, flow: str, **more: str) -> Reply:
    values = {"name": "Till", "owner": "Alex", "contact": "1234", "flow": flow}
    values["environment_id"] = scenario.build.environment.id
    sent = await send_form(await show_page(), "Declare a caller", **{**values, **more})
    return await follow_redirect(sent)


async def test_a_caller_is_declared_confirmed_and_removed_by_forms(scenario: Scenario) -> None:
    empty = await show_page()
    made = await declare_till(scenario, "ORDERS", new_url_secret=SECRET, max_url_length="255")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(days=9))
    provide(scenario.services)
    shown = await show_page()
    confirmed = await follow_redirect(await send_form(shown, "Confirm"))
    await scenario.run(timedelta(days=30))
    job = await scenario.read_job("Orders")
    removed = await follow_redirect(await send_form(confirmed, "Remove"))

    assert "No caller is declared" in read_text(empty)
    assert "The caller is declared." in made.text
    assert "No declared caller has to be confirmed" in read_text(made)
    assert "not migrated secret post-url of the key vault till" in read_text(made)
    text = read_text(shown)
    assert "1 declared caller is not confirmed" in text
    assert "Owner: Alex Contact: 1234 Longest URL: 255 characters" in text
    assert "Orders Contoso to confirm It has to call the copy." in text
    assert "The original stays on until then." in text
    assert "The caller is confirmed. Retried 1 job." in confirmed.text
    assert "Confirmed by anna@contoso.example" in read_text(confirmed)
    assert job.state is FlowJobState.RETIRED
    assert "The declared caller is removed." in removed.text
    assert "No caller is declared" in read_text(removed)


async def test_a_flow_is_added_to_a_caller_whose_other_flows_stay(scenario: Scenario) -> None:
    made = await declare_till(scenario, "Orders", allowed_hosts="*.a.example b.example")
    home = scenario.build.environment.id
    await send_form(made, "Add a flow or change", environment_id=home, flow="Returns")
    await send_form(
        await show_page(),
        "Add a flow or change",
        environment_id=home,
        flow="ORDERS",
        new_url_secret=SECRET,
        owner="Sam",
    )

    [till] = await list_declared_callers(scenario.services)
    assert (till.owner, till.allowed_hosts) == ("Sam", ("*.a.example", "b.example"))
    found = {one.display_name: one.new_url_secret for one in till.flows}
    assert found == {"Returns": "", "ORDERS": SECRET}


async def test_the_filter_finds_callers_by_state_name_and_flow(scenario: Scenario) -> None:
    await declare_till(scenario, "Orders")
    await declare_till(scenario, "Returns", name="Kiosk")

    for query, names in {
        "kiosk": {"Kiosk"},
        "ORDERS": {"Till"},
        "alex": {"Kiosk", "Till"},
        "nobody": set(),
    }.items():
        shown = await show_page(ANNA, search=query)
        assert set(re.findall(r"<h2>(\w+)</h2>", shown.text)) == names
    none = await show_page(ANNA, state="to_confirm")
    assert "No declared caller matches the filter." in read_text(none)


async def test_a_reader_sees_why_each_action_is_not_offered(scenario: Scenario) -> None:
    await declare_till(scenario, "Orders")

    shown = await show_page(EVE)

    assert 'method="post"' not in shown.text
    assert "You need the role operator." in read_text(shown)
    assert "Till" in read_text(shown)


def build_file(scenario: Scenario, *lines: str) -> str:
    """Return a CSV file with these lines. `HOME` in them becomes the environment's id."""
    header = "name,owner,contact,environment_id,flow,trigger_url_id,new_url_secret,max_url_length"
    text = "\r\n".join([header, *lines, ""])
    return text.replace("HOME", scenario.build.environment.id)


async def upload_file(
    content: str | bytes, headers: dict[str, str] = ANNA, /, **more: str
) -> Reply:
    shown = await show_page()
    assert 'action="/api/dashboard/callers/file" enctype="multipart/form-data"' in shown.text
    assert '<input type="file" name="file"' in shown.text
    data = content.encode() if isinstance(content, str) else content
    disposition = b'Content-Disposition: form-data; name="file"; filename="callers.csv"'
    kind = b"Content-Type: text/csv"
    body = b"\r\n".join([b"--line", disposition, kind, b"", data, b"--line--", b""])
    sent = {**headers, "Content-Type": "multipart/form-data; boundary=line"}
    sent |= {"Sec-Fetch-Site": "same-origin", "Accept": "text/html", **more}
    return await call(
        callers_page_api.show_caller_file, body, headers=sent, path="dashboard/callers/file"
    )


async def test_a_file_is_shown_before_it_is_declared(scenario: Scenario) -> None:
    await declare_till(scenario, "Returns")
    url = scenario.build.get_trigger_url(next(iter(scenario.world.list_flows())))
    text = build_file(
        scenario,
        'Till,Alex,"Desk 1, floor 2",HOME,Orders,,,255',
        "Kiosk,Sam,7,HOME,Nothing,,",
        "Kiosk,,,HOME,Returns,,,",
        f"Kiosk,,,,,{url},,",
        "Gate,Sam,7,HOME,Orders,,http://x,many",
        '"Till,Alex',
        "Hall,,7,HOME,Orders,,,",
        "Door,Sam,7,HOME,Orders,,https://doors.vault.azure.net/secrets/x,",
        "Door,Sam,7,HOME,Returns,,https://doors.vault.azure.net/secrets/x,",
    )

    shown = await upload_file(text)
    before = await list_declared_callers(scenario.services)

    said = read_text(shown)
    assert "The file changes 3 callers, and 5 lines are not valid" in said
    assert "Till declared adds the flow Orders; contact: Desk 1, floor 2; longest URL: 255" in said
    assert "Kiosk new adds the flow Returns; adds the flow " in said
    assert "Line 3 No flow of Contoso matches Nothing." in said
    assert "Line 6 new_url_secret: use https://VAULT.vault.azure.net/secrets/NAME." in said
    assert "max_url_length: use a number." in said
    assert "Line 7 it is not CSV: unexpected end of data." in said
    assert "Line 8 owner: a line of this caller has to name the owner." in said
    assert "Line 10 The secret x of the key vault doors is for another flow or caller." in said
    assert [one.name for one in before] == ["Till"]
    assert len(before[0].flows) == 1
    stored = await follow_redirect(await send_form(shown, "Declare 3 callers"))
    assert "The callers of the file are declared." in read_text(stored)
    after = {one.name: one for one in await list_declared_callers(scenario.services)}
    assert {name: len(one.flows) for name, one in after.items()} == {
        "Till": 2,
        "Kiosk": 2,
        "Door": 1,
    }
    assert (after["Till"].max_url_length, after["Kiosk"].owner) == (255, "Sam")
    assert not any(signature in shown.text for signature in find_signatures(url).values())


async def test_the_same_file_changes_nothing_the_second_time(scenario: Scenario) -> None:
    text = build_file(scenario, "Till,Alex,1,HOME,Orders,,,")
    await send_form(await upload_file(text), "Declare 1 caller")

    again = await upload_file(text.encode("utf-16"))

    assert "The file changes nothing" in read_text(again)
    assert "Declared already, without a change: Till." in read_text(again)
    assert 'method="post"' not in again.text


async def test_environment_that_cannot_be_read_rejects_only_its_own_lines(
    scenario: Scenario,
) -> None:
    text = build_file(scenario, "Till,Alex,1,HOME,Orders,,,", f"Gate,Sam,7,,,{'0' * 32},,")
    rejected = PlatformError("no role", code="Forbidden", status=403)
    services = replace(scenario.services, flow_pages=Failing(rejected))

    preview = await preview_import(services, parse_caller_lines(text).lines)

    identity = scenario.build.environment.id
    assert preview.faults == {2: f"The flows of {identity} cannot be read: Forbidden: no role"}
    assert [one.after.name for one in preview.changes] == ["Gate"]


async def test_unknown_flows_beyond_the_request_budget_reject_only_their_lines(
    scenario: Scenario,
) -> None:
    unknown = [f"Unknown-{number}" for number in range(8)]
    lines = [f"{name},Alex,1,HOME,{name},,," for name in unknown]
    text = build_file(scenario, "Till,Alex,1,HOME,Orders,,,", *lines)
    reports = _FiveRequests(scenario.services.flow_reports)
    services = replace(scenario.services, flow_reports=cast("Any", reports))

    preview = await preview_import(services, parse_caller_lines(text).lines)

    assert [one.after.name for one in preview.changes] == ["Till"]
    assert list(preview.faults) == list(range(3, 11))
    assert [line for line, why in preview.faults.items() if "few requests" in why] == [8, 9, 10]


@pytest.mark.parametrize("has_list", [True, False])
async def test_many_flows_that_only_the_list_of_all_flows_has_are_declared_at_once(
    scenario: Scenario, *, has_list: bool
) -> None:
    flows = [scenario.build.add_http_flow(f"Hidden {number}") for number in range(12)]
    lines = [f"Till,Alex,1,HOME,{flow.flow_name},,," for flow in flows]
    found = parse_caller_lines(build_file(scenario, *lines)).lines
    reports = _OnlyAllFlows(scenario.services.flow_reports, has_list=has_list)
    services = replace(
        scenario.services, flow_reports=cast("Any", reports), flow_pages=cast("Any", _NoFlows())
    )

    preview = await preview_import(services, found)

    assert len(preview.faults) == (0 if has_list else 7)
    assert all("send some of these lines at once" in why for why in preview.faults.values())
    if has_list:
        [change] = preview.changes
        assert {one.flow_id for one in change.after.flows} == {one.flow_name for one in flows}


async def test_unknown_flows_within_the_request_budget_are_named(scenario: Scenario) -> None:
    lines = [f"Till,Alex,1,HOME,Unknown-{number},,," for number in range(8)]
    found = parse_caller_lines(build_file(scenario, *lines)).lines
    till = replace(found[0].caller, flows=tuple(one.caller.flows[0] for one in found))
    reports = _FiveRequests(scenario.services.flow_reports)
    services = replace(scenario.services, flow_reports=cast("Any", reports))

    with pytest.raises(FlowNotFound, match=r"Unknown-0, .*Unknown-4\."):
        await declare_callers(services, [till])


class _FiveRequests:
    """A flow service that rejects requests for a flow after the first five."""

    def __init__(self, reports: FlowReports) -> None:
        self._reports = reports
        self._left = 5

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reports, name)

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        if not self._left:
            raise ThrottledError
        self._left -= 1
        return await self._reports.get_flow(environment_id, flow_name)


class _OnlyAllFlows(_FiveRequests):
    def __init__(self, reports: FlowReports, *, has_list: bool) -> None:
        super().__init__(reports)
        self._has_list = has_list

    async def read_microsoft_key_flows(self, *_: object, **__: object) -> ResultPage[FlowListEntry]:
        return ResultPage(items=(), cursor="")

    async def list_flows(self, environment_id: str) -> list[FlowListEntry]:
        if not self._has_list:
            raise ThrottledError
        return await self._reports.list_flows(environment_id)


class _NoFlows:
    async def read_workflow_summaries(self, *_: object) -> ResultPage[WorkflowSummary]:
        return ResultPage(items=(), cursor="")


async def test_flow_that_is_declared_during_an_import_stays(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = parse_caller_lines(build_file(scenario, "Till,Alex,1,HOME,Orders,,,")).lines
    [other] = parse_caller_lines(build_file(scenario, f"Till,Alex,1,,,{'0' * 32},,")).lines

    async def declare_after_the_read(*read: Any) -> ImportPreview:
        preview = await preview_import(*read)
        await declare_called_flow(scenario.services, other.caller)
        return preview

    monkeypatch.setattr(importing, "preview_import", declare_after_the_read)
    await importing.import_callers(scenario.services, lines)

    [till] = await list_declared_callers(scenario.services)
    assert len(till.flows) == 2


async def test_an_interrupted_import_is_completed_by_the_same_file(scenario: Scenario) -> None:
    text = build_file(scenario, "Till,Alex,1,HOME,Orders,,,")
    lines = parse_caller_lines(text).lines
    await import_callers(scenario.services, lines)
    index = scenario.services.tables.caller_index
    before = await index.read_all()
    for place in before:
        await index.store.write(index.build_removal(place))

    await import_callers(scenario.services, lines)

    assert before
    assert [one.id for one in await index.read_all()] == [one.id for one in before]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "File: A value is required."),
        ("owner\n", "its first line needs the column name"),
        ("owner,phone\n", "unknown columns: phone"),
        ("https://x/workflows?sig=abcdefghijklmnopqrstuvwxyz0123456789ABCD\n", "unknown columns:"),
        (b"\xff\xfe\x00", "unknown columns"),
    ],
)
async def test_a_file_without_columns_is_rejected(
    scenario: Scenario, content: str | bytes, text: str
) -> None:
    reply = await upload_file(content)

    assert reply.status == 400
    assert text in unescape(reply.text)
    assert "abcdefghijklmnopqrstuvwxyz" not in reply.text


async def test_a_file_from_another_site_or_of_a_reader_is_rejected(scenario: Scenario) -> None:
    text = build_file(scenario, "Till,Alex,1,HOME,Orders,,,")

    foreign = await upload_file(text, ANNA, **{"Sec-Fetch-Site": "cross-site"})
    of_reader = await upload_file(text, EVE)

    assert (foreign.status, of_reader.status) == (403, 403)
    assert await list_declared_callers(scenario.services) == []


async def test_a_file_that_is_too_large_is_rejected(scenario: Scenario) -> None:
    reply = await upload_file("x" * 300_000)

    assert reply.status == 413


async def test_a_flow_that_is_gone_since_the_preview_stores_nothing(scenario: Scenario) -> None:
    shown = await upload_file(
        build_file(scenario, "Till,Alex,1,HOME,Orders,,,", "Door,Alex,1,HOME,Returns,,,")
    )
    [gone] = [one for one in scenario.world.list_flows() if one.name == "Returns"]
    del scenario.build.environment.flows[gone.workflow_id]

    reply = await send_form(shown, "Declare 2 callers")

    assert reply.status == 409
    assert "line 3: No flow of Contoso matches Returns." in reply.text
    assert await list_declared_callers(scenario.services) == []


async def test_a_form_without_an_environment_is_rejected(scenario: Scenario) -> None:
    values = {"name": "Till", "owner": "Alex", "contact": "1234", "flow": "Orders"}

    reply = await send_form(await show_page(), "Declare a caller", **values)

    assert reply.status == 400
    assert await list_declared_callers(scenario.services) == []

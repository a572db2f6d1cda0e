import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html import unescape
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.dashboard import plan_groups
from functions.dashboard.page_layout import PageContext
from functions.dashboard.plan_left_out import decode_left_out, encode_left_out
from functions.dashboard.plan_page import PlanChoice, build_plan_page
from functions.forms import parse_member_name
from functions.http_requests import FORM_CONTEXT
from functions.plan_models import ApproveRequest
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.plan_approval import ApprovalDecision, add_parent_flows, apply_approval
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.use_cases.approve_plan import ApprovalInput
from shared.use_cases.show_remediation import PlanView
from tests.unit.test_plan_approval import JOB, build_item

READER = PageContext(
    principal=Principal(name="Ada", roles=frozenset(Role), kind=PrincipalKind.USER),
    now=datetime(2026, 1, 1, tzinfo=UTC),
)
AWAITING = replace(JOB, state=EnvironmentJobState.AWAITING_APPROVAL)
_FILTERS = st.sampled_from(["", "no_pause", "not_included", "needs_changes", "awaiting"])
_ACTIONS = [PlannedAction.COPY, PlannedAction.COPY, PlannedAction.NEEDS_CHANGES]
type Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    items: list[PlanItem]
    text: str = field(repr=False)

    @property
    def form(self) -> str:
        found = re.search(r'<form class="plan" method="post"(.*?)</form>', self.text, re.DOTALL)
        assert found
        return found[0]

    @property
    def hidden_fields(self) -> Fields:
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', self.form)
        return [(name, unescape(value)) for name, value in found]

    @property
    def ticks(self) -> dict[str, Mapping[str, str]]:
        """Return the attributes of each flow's checkbox, by the flow's id."""
        boxes = re.findall(
            r'<input class="pick" [^>]*name="included_flow_ids\[\]"[^>]*>', self.form
        )
        found = [dict(re.findall(r'([\w-]+)="([^"]*)"', box)) for box in boxes]
        for one, box in zip(found, boxes, strict=True):
            one["checked"] = "checked" if box.endswith(" checked>") else ""
        return {one["value"]: one for one in found}

    def read_form_data(self, name: str) -> str:
        """Return a `data` attribute of the form, which the page's script reads."""
        found = re.search(rf"""data-{name}=(?:"([^"]*)"|'([^']*)')""", self.form)
        assert found
        return unescape(found[1] or found[2] or "")

    def read_bar(self) -> tuple[int, int]:
        """Return how many flows and changes the bar shows."""
        found = re.search(r"You approve ([\d,]+) flows?, ([\d,]+) changes?,", self.form)
        assert found
        return int(found[1].replace(",", "")), int(found[2].replace(",", ""))

    def count_like_script(self, ticked: Iterable[str]) -> tuple[int, int]:
        """Return how many flows and changes the script `plan.js` would count."""
        near = {
            int(tick["data-at"]): (
                int(tick["data-writes"]),
                [int(one) for one in tick.get("data-runs", "").split()],
            )
            for tick in self.ticks.values()
        }
        far = {at: (writes, runs) for at, writes, runs in json.loads(self.read_form_data("far"))}
        out = {int(t["data-at"]) for flow, t in self.ticks.items() if flow not in set(ticked)}
        flows = near | far
        while more := {at for at, (_, runs) in flows.items() if out & set(runs)} - out:
            out |= more
        on = [writes for at, (writes, _) in flows.items() if at not in out]
        changes = int(self.read_form_data("changes-elsewhere")) - sum(
            writes for writes, _ in far.values()
        )
        return int(self.read_form_data("flows-elsewhere")) - len(far) + len(on), changes + sum(on)


def find_approved(items: list[PlanItem], sent: Fields) -> tuple[int, int] | None:
    """Return how many flows and changes a form approves, or None if the API rejects the form."""
    fields: dict[str, list[str]] = {}
    for name, value in sent:
        fields.setdefault(parse_member_name(name), []).extend(value.split(","))
    try:
        body = ApproveRequest.model_validate(fields, context=FORM_CONTEXT)
    except ValidationError:
        return None
    approval = ApprovalInput(
        versions=body.versions,
        approved_by="Ada",
        included_flow_ids=body.choice,
        offered_flow_ids=body.offered_flow_ids,
    )
    awaiting = [one.workflow_id for one in items if one.awaits_approval]
    decision = ApprovalDecision(
        number=1,
        approved_by="Ada",
        excluded_from_approval=frozenset(approval.list_excluded_among(awaiting)),
    )
    decided = apply_approval(items, {one.workflow_id: one for one in items}, decision)
    started = [one for one in decided if one.action.has_job]
    return len(started), sum(len(one.planned_changes) for one in started)


@st.composite
def draw_pages(draw: st.DrawFn) -> Page:
    ids = [f"f{number}" for number in range(draw(st.integers(1, 12)))]
    items = []
    for number, flow in enumerate(ids):
        below = draw(st.frozensets(st.sampled_from(ids[:number]), max_size=2)) if number else ()
        action = draw(st.sampled_from(_ACTIONS)) if number else PlannedAction.COPY
        changes = tuple("a change" for _ in range(draw(st.integers(0, 3))))
        items.append(
            build_item(
                flow,
                children=tuple(below),
                action=action,
                planned_changes=changes if action.is_work else (),
            )
        )
    plan = PlanView(
        environment_job=AWAITING,
        items=tuple(items),
        trigger_hosts=(),
        approval_policy=ApprovalPolicy.REQUIRED,
    )
    choice = PlanChoice(
        filter=draw(_FILTERS),
        page=draw(st.integers(1, 3)),
        leave_out=encode_left_out(
            plan.version,
            plan.awaiting_flow_ids,
            draw(st.lists(st.sampled_from(ids), max_size=2, unique=True)),
        ),
    )
    with patch.object(plan_groups, "ROWS_ON_PAGE", 4):
        return Page(items, build_plan_page(READER, "r", [plan], choice))


def build_form(page: Page, flows: Iterable[str]) -> Fields:
    return [*page.hidden_fields, *(("included_flow_ids[]", flow) for flow in flows)]


@given(st.frozensets(st.integers(0, 300)), st.sets(st.integers(0, 300)))
def test_excluded_flows_are_decoded_as_they_were_encoded(
    plan: frozenset[int], left_out: set[int]
) -> None:
    awaiting, out = [f"f{one}" for one in plan], {f"f{one}" for one in left_out}
    text = encode_left_out("0123456789abcdef", awaiting, out)

    read = decode_left_out(text, "0123456789abcdef", reversed(awaiting))

    assert read is not None
    assert set(read) == out & set(awaiting)
    assert decode_left_out(text, "fedcba9876543210", awaiting) == (None if text else ())
    assert len(text) <= 17 + len(plan) * 4 / 3 / 8 + 3


@given(st.text(alphabet="0123456789abcdef.-_AZ", max_size=40))
def test_decoded_flows_always_await_approval(text: str) -> None:
    """A person may have changed the address of the page."""
    for value in (text, f"0123456789abcdef.{text}"):
        read = decode_left_out(value, "0123456789abcdef", ["a", "b", "c"])
        assert read is None or set(read) <= {"a", "b", "c"}


@given(draw_pages())
def test_bar_shows_the_approved_flows_if_all_are_selected(page: Page) -> None:
    approved = find_approved(page.items, build_form(page, page.ticks))

    said = page.read_bar()
    assert said == page.count_like_script(page.ticks)
    assert approved == said or (approved, said[0]) == (None, 0)


@given(draw_pages(), st.data())
def test_bar_shows_the_approved_flows_if_some_are_selected(page: Page, data: st.DataObject) -> None:
    flows = [flow for flow in page.ticks if data.draw(st.booleans())]

    approved = find_approved(page.items, build_form(page, flows))

    counted = page.count_like_script(flows)
    assert approved == counted or (approved, counted[0]) == (None, 0)


@given(draw_pages())
def test_page_selects_no_flow_that_runs_an_excluded_flow(page: Page) -> None:
    checked = [flow for flow, tick in page.ticks.items() if tick["checked"]]
    children = {one.workflow_id: set(one.children) for one in page.items if one.awaits_approval}
    hidden = dict(page.hidden_fields)
    offered = set(filter(None, hidden.get("offered_flow_ids[,]", "").split(",")))
    left_out = (offered or set(page.ticks)) - set(checked)
    out = add_parent_flows(left_out, children)

    assert not out & set(checked)


@given(draw_pages(), st.data())
def test_form_without_some_fields_approves_no_more_flows(page: Page, data: st.DataObject) -> None:
    sent = build_form(page, page.ticks)
    kept = [one for one in sent if data.draw(st.booleans())]

    rest = find_approved(page.items, kept)

    flows, changes = page.read_bar()
    assert rest is None or (rest[0] <= flows and rest[1] <= changes)

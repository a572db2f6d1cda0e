"""List what people have to do about an assessment, sorted by urgency and effort."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cmkflow.paragraphs import format_number
from shared.domain.assessment.assessment import RemediationStatus
from shared.domain.assessment.estimate import needs_only_an_edit
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason

#: Sections that decide whether a key can be applied; the others describe its consequences.
DECIDING = ("eligibility", "key")
#: Reasons that a change before the key is applied removes, so that no copy is needed.
_REMOVABLE = {
    str(MicrosoftKeyReason.POWER_APPS_V1_OUTSIDE_SOLUTION),
    str(MicrosoftKeyReason.LIST_FLOWS_AS_ADMIN_V1),
}
#: Code of the findings about flows that a remediation has started with.
IN_REMEDIATION = "flows_in_remediation"
#: What a firewall finding and a finding about calls that fail today have as their code.
_FIREWALL, _RETIRED_URL = "firewall", "retired_url"
_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ToDo:
    """One thing that a person has to do or decide about an assessment."""

    #: `person`: it does not work; `wait`: a person decides; `unknown`: a person checks it.
    look: str
    title: str
    #: What it is about, as one sentence.
    text: str
    #: Who does it.
    who: str
    #: Pairs of what was found and what to do about it.
    details: Sequence[tuple[str, str]] = ()


def build_to_do_list(assessment: Any) -> list[ToDo]:
    """Return what people have to do, sorted by urgency. Problems of the key and broken callers come
    first, copies and deletions last.
    """
    found = [
        (one["topic"], finding)
        for one in assessment["sections"]
        for finding in one["findings"]
        if finding["level"] in {"problem", "unknown"}
    ]
    problems = [one for one in found if one[1]["level"] == "problem"]
    first = [
        *_build_to_do_for_key_problems(problems),
        *_build_to_do_for_broken_callers(assessment, problems),
    ]
    rest = [
        *_build_to_do_for_flows(assessment),
        *_build_to_do_for_firewalls(found),
        *_build_to_do_for_canvas_apps(problems),
        *_build_to_do_for_makers(assessment),
        *_build_to_do_for_publishers(assessment),
        *_build_to_do_for_other_findings(problems),
    ]
    rest.sort(key=lambda one: len(one.details))
    last = [*_build_to_do_for_copies(assessment), *_build_to_do_for_deletions(assessment)]
    return [*first, *rest, *_build_to_do_for_unknown_facts(found), *last]


def filter_flows_by_status(flows: Iterable[Any], *statuses: str) -> list[Any]:
    """Return the flows with one of these statuses. A flow without a status counts as `unknown`."""
    return [flow for flow in flows if flow.get("remediation_status", "unknown") in statuses]


def filter_unstarted_flows(flows: Iterable[Any]) -> list[Any]:
    """Return the flows whose status says that they need a remediation."""
    statuses = [one for one in RemediationStatus if one.needs_remediation]
    return filter_flows_by_status(flows, *statuses)


def filter_retired_originals(flows: Iterable[Any]) -> list[Any]:
    """Return the retired originals with a working copy."""
    return filter_flows_by_status(flows, *(one for one in RemediationStatus if one.is_retired))


def can_be_changed_without_copy(assessment: Any, flow: Any) -> bool:
    """Return whether the flow needs no copy if it is changed now."""
    reasons = set(flow["microsoft_key_reasons"])
    if flow["is_managed"] or not reasons:
        return False
    is_before = assessment["phase"] == "before_key"
    return needs_only_an_edit(reasons) or (is_before and reasons <= _REMOVABLE)


def is_about_one_firewall(finding: Any) -> bool:
    """Return whether a finding is about one firewall, which it names."""
    return finding.get("code") == _FIREWALL and bool(finding.get("subject"))


def _build_to_do_for_key_problems(problems: Sequence[tuple[str, Any]]) -> Iterable[ToDo]:
    mine = [finding for topic, finding in problems if topic in DECIDING]
    if mine:
        title = f"Fix {format_number(len(mine), 'problem')} of the environment or the key"
        text = "A key cannot be applied, or cannot protect the environment, before this is fixed."
        yield _build_to_do("person", title, text, "Administrator", mine)


def _build_to_do_for_broken_callers(
    assessment: Any, problems: Sequence[tuple[str, Any]]
) -> Iterable[ToDo]:
    callers = {
        (caller["label"], flow["display_name"])
        for flow in assessment["flows"]
        for caller in flow["callers"]
        if caller["is_broken"]
    }
    fix = next((one["fix"] for _, one in problems if one.get("code") == _RETIRED_URL), "")
    if callers:
        is_one = len(callers) == 1
        number = format_number(len(callers), "caller")
        yield ToDo(
            look="person",
            title=f"{number} {'is' if is_one else 'are'} broken today",
            text=f"Their calls fail with or without a key. {fix}",
            who="Owners of the callers",
            details=[(label, f"calls {flow}") for label, flow in sorted(callers)],
        )


def _build_to_do_for_flows(assessment: Any) -> Iterable[ToDo]:
    mine = filter_flows_by_status(assessment["flows"], RemediationStatus.ACTION_REQUIRED)
    if mine:
        title = f"Act on {format_number(len(mine), 'flow')} of a remediation"
        names = _format_names(flow["display_name"] for flow in mine)
        text = f"{names}: a remediation cannot continue, or a retired original has changed."
        yield ToDo(
            look="person",
            title=title,
            text=text,
            who="Administrator",
            details=_pair_flows_with_advice(mine),
        )


def _build_to_do_for_firewalls(found: Sequence[tuple[str, Any]]) -> Iterable[ToDo]:
    mine = [finding for _, finding in found if is_about_one_firewall(finding)]
    if mine:
        title = f"Allow the new addresses in {format_number(len(mine), 'firewall')}"
        names = _format_names(one["subject"] for one in mine)
        text = f"{names}: until then, calls of copies are or may be blocked."
        sure = any(one["level"] == "problem" for one in mine)
        yield _build_to_do("person" if sure else "unknown", title, text, "Network team", mine)


def _build_to_do_for_canvas_apps(problems: Sequence[tuple[str, Any]]) -> Iterable[ToDo]:
    mine = [finding for topic, finding in problems if topic == "canvas_apps"]
    if mine:
        title = f"Agree on a date with the makers of {format_number(len(mine), 'canvas app')}"
        text = "Only its maker can make a canvas app call a copy, or call it again after a change."
        yield _build_to_do("wait", title, text, "Makers of the apps", mine)


def _build_to_do_for_makers(assessment: Any) -> Iterable[ToDo]:
    flows = filter_unstarted_flows(assessment["flows"])
    mine = [flow for flow in flows if can_be_changed_without_copy(assessment, flow)]
    if mine:
        when = " before the key is applied" if assessment["phase"] == "before_key" else ""
        title = f"Change {format_number(len(mine), 'flow')}{when}"
        names = _format_names(flow["display_name"] for flow in mine)
        text = f"{names}: after this change, no copy and no new URL is needed."
        yield ToDo(
            look="wait", title=title, text=text, who="Makers", details=_pair_flows_with_advice(mine)
        )


def _build_to_do_for_publishers(assessment: Any) -> Iterable[ToDo]:
    mine = [flow for flow in filter_unstarted_flows(assessment["flows"]) if flow["is_managed"]]
    if mine:
        title = f"Ask the publishers of {format_number(len(mine), 'flow')}"
        names = _format_names(flow["display_name"] for flow in mine)
        text = f"{names}: the app does not change flows of a managed solution."
        yield ToDo(
            look="wait",
            title=title,
            text=text,
            who="Publishers",
            details=_pair_flows_with_advice(mine),
        )


def _build_to_do_for_other_findings(problems: Sequence[tuple[str, Any]]) -> Iterable[ToDo]:
    mine = [
        finding
        for topic, finding in problems
        if topic not in {*DECIDING, "canvas_apps"}
        and not is_about_one_firewall(finding)
        and finding.get("code") not in {_RETIRED_URL, IN_REMEDIATION}
    ]
    if mine:
        title = f"Fix {format_number(len(mine), 'other problem')}"
        yield _build_to_do("person", title, mine[0]["message"], "Administrator", mine)


def _build_to_do_for_unknown_facts(found: Sequence[tuple[str, Any]]) -> Iterable[ToDo]:
    mine = [one for _, one in found if one["level"] == "unknown" and not is_about_one_firewall(one)]
    if mine:
        title = f"Check {format_number(len(mine), 'fact')} yourself"
        text = "The platform did not answer, so the app does not know them."
        yield _build_to_do("unknown", title, text, "Administrator", mine)


def _build_to_do_for_copies(assessment: Any) -> Iterable[ToDo]:
    effort = assessment["estimate"]
    if assessment["flow_count"] is None or not effort["copies"]:
        return
    when = " after the key is applied" if assessment["phase"] == "before_key" else ""
    title = f"Start a remediation{when}: it copies {format_number(effort['copies'], 'flow')}"
    ours, manual = effort["callers"], effort["manual_callers"]
    callers = "No known caller has to change."
    if ours or manual:
        callers = f"The app updates {format_number(ours, 'caller')}"
        callers += f", and people update {manual}." if manual else "."
    text = (
        f"{callers} The app works about {format_number(effort['minutes'], 'minute')}, then waits "
        f"until the originals have received no calls for "
        f"{format_number(effort['no_call_days'], 'day')}."
    )
    yield ToDo(look="work", title=title, text=text, who="Approver")


def _build_to_do_for_deletions(assessment: Any) -> Iterable[ToDo]:
    mine = filter_flows_by_status(assessment["flows"], RemediationStatus.RETIRED)
    if mine:
        number = format_number(len(mine), "retired original")
        advices = Counter(flow["recommendations"][0] for flow in mine)
        yield ToDo(
            look="over",
            title=f"Optional: schedule the deletion of {number}",
            text=(
                "Their copies work. The platform counts the originals on Microsoft's key until "
                "they are deleted."
            ),
            who="Approver",
            details=[
                (f"{format_number(count, 'retired original')} of a remediation.", advice)
                for advice, count in advices.items()
            ],
        )


def _build_to_do(look: str, title: str, text: str, who: str, findings: Sequence[Any]) -> ToDo:
    details = [(one["message"], one["fix"]) for one in findings]
    return ToDo(look=look, title=title, text=text, who=who, details=details)


def _pair_flows_with_advice(flows: Iterable[Any]) -> list[tuple[str, str]]:
    return [(flow["display_name"], flow["recommendations"][0]) for flow in flows]


def _format_names(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more

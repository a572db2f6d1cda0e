"""Build the Environments page: the settings, the progress and the actions of each environment."""

from dataclasses import dataclass, replace
from datetime import datetime

from functions.dashboard.environment_actions import (
    POLICY_WORDS,
    format_maintenance_window,
    list_environment_actions,
)
from functions.dashboard.environment_rows import (
    EnvironmentRow,
    Situation,
    build_environment_row,
    sort_environment_rows,
)
from functions.dashboard.environment_settings import SettingLine, build_setting_lines
from functions.dashboard.kill_switch import adapt_action_to_kill_switch, build_stop_banner
from functions.dashboard.page_actions import PageAction
from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.support_requests_page import build_draft_url, describe_support_request
from functions.dashboard.titles import compute_natural_sort_key
from shared.domain.environment import PolicyLinkStatus
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.pending_actions import format_count
from shared.domain.plans.remediation import EnvironmentJob
from shared.use_cases.show_environments import KnownEnvironment, KnownEnvironments


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCard:
    """An environment on the page: its progress, settings and actions."""

    id: str
    name: str
    progress: EnvironmentRow | None
    #: Look and words of the key, and the name of the policy.
    key: tuple[str, str]
    policy_name: str
    policy_words: str
    known: KnownEnvironment
    settings: list[SettingLine]
    #: Words and URL of the support request; empty: there is none.
    support: tuple[str, str]
    #: Look and words of the last assessment.
    assessment: tuple[str, str]
    #: The exceptions from the default settings, as one line.
    summary: str
    actions: tuple[PageAction, ...]

    @property
    def change_actions(self) -> list[PageAction]:
        return [action for line in self.settings for action in line.actions]


def build_environments_page(
    view: PageContext,
    found: KnownEnvironments,
    *,
    start: int,
    limit: int,
    with_platform: bool,
) -> str:
    """Return the page of `limit` environments after the first `start`, ordered by urgency and name.

    `with_platform` is True if the app has asked the platform for all environments of the tenant.
    """
    view = replace(view, kill_switch=found.kill_switch)
    situation = Situation(now=view.now, is_stopped=view.is_stopped)
    lines = {
        one.environment_id: build_environment_row(one.status, situation)
        for one in found.items
        if one.status
    }
    order = {
        row.environment_id: place for place, row in enumerate(sort_environment_rows(lines.values()))
    }
    known = sorted(
        found.items,
        key=lambda one: (
            order.get(one.environment_id, len(order)),
            compute_natural_sort_key(one.name),
        ),
    )
    cards = [
        _build_environment_card(one, lines.get(one.environment_id), view)
        for one in known[start : start + limit]
    ]
    return render_page(
        "environments",
        view,
        section="Environments",
        cards=cards,
        total=len(known),
        linked=sum(_is_linked_to_policy(one) for one in known),
        migrated=sum(row.migrated_count for row in lines.values()),
        flow_count=sum(row.flow_count for row in lines.values()),
        start=start,
        limit=limit,
        with_platform=with_platform,
        stopped=build_stop_banner(view),
        unreadable_rows=found.unreadable_rows,
    )


def _build_environment_card(
    one: KnownEnvironment, row: EnvironmentRow | None, view: PageContext
) -> EnvironmentCard:
    link = one.policy_link
    return EnvironmentCard(
        id=one.environment_id,
        name=one.name,
        progress=row,
        key=_describe_key_state(one),
        policy_name=link.policy_id.rpartition("/")[2] if link else "",
        policy_words=POLICY_WORDS[one.settings.approval_policy],
        known=one,
        settings=[
            replace(
                line, actions=[adapt_action_to_kill_switch(action, view) for action in line.actions]
            )
            for line in build_setting_lines(one, view.principal)
        ],
        support=_build_support_request_link(one, view.now),
        assessment=_describe_last_assessment(one.last_assessment),
        summary=_format_settings_summary(one),
        actions=tuple(list_environment_actions(one, view.principal)),
    )


def _is_linked_to_policy(one: KnownEnvironment) -> bool:
    return one.policy_link is not None and one.policy_link.status == PolicyLinkStatus.LINKED


def _describe_key_state(one: KnownEnvironment) -> tuple[str, str]:
    link = one.policy_link
    if link is None or not link.policy_id:
        return "over", "No policy"
    if link.status == PolicyLinkStatus.LINKED:
        return "done", "Your key"
    if link.status == PolicyLinkStatus.FAILED:
        return "person", "Link failed"
    return "work", str(link.status)


def _describe_last_assessment(job: EnvironmentJob | None) -> tuple[str, str]:
    if job is None:
        return "over", "Not assessed"
    if job.needs_action:
        return "person", "Assessment blocked"
    if not job.is_inactive:
        return "work", "Assessing"
    if job.state is not EnvironmentJobState.COMPLETED or not job.state_since:
        return "over", "Assessment cancelled"
    return "over", f"Assessed {job.state_since:%Y-%m-%d %H:%M} UTC"


def _build_support_request_link(one: KnownEnvironment, now: datetime) -> tuple[str, str]:
    request = one.support_request
    if request is None:
        return "", ""
    words = describe_support_request(request, now)
    return words, build_draft_url(request.kind, request.environment_id)


def _format_settings_summary(one: KnownEnvironment) -> str:
    settings = one.settings
    said = [
        f"maintenance window {format_maintenance_window(settings)}"
        if settings.maintenance_window
        else "",
        f"at most {format_count(settings.max_flows, 'flow')}",
        f"{len(settings.excluded_flows)} excluded" if settings.excluded_flows else "",
        f"{len(settings.pilot_flows)} pilot" if settings.pilot_flows else "",
        format_count(len(settings.ignored_issues), "ignored firewall issue")
        if settings.ignored_issues
        else "",
    ]
    return ", ".join(filter(None, said))

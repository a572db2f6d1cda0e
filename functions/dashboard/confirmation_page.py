"""Build the page that a confirmation link opens. It needs no sign-in and links to no other page."""

from dataclasses import dataclass

from functions.dashboard.page_layout import render_page
from shared.domain.callers.declared_caller import describe_place_of_new_url
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import format_count
from shared.html_pages import read_style
from shared.services import Services
from shared.use_cases.confirm_by_link import CONFIRMATION_PATH, LinkedCaller, LinkedFlow
from shared.use_cases.unconfirmed_callers import find_earliest_turn_off_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationLine:
    """A flow on the page of a confirmation link, with what its caller has to do."""

    linked: LinkedFlow
    #: What the caller has to call: `the copy of Orders`.
    wanted: str
    #: What stays on until the confirmation, and for how long.
    kept: str
    new_url: str


def build_confirmation_page(services: Services, linked: LinkedCaller, token: str) -> str:
    """Return the page, with a button for each flow that is not confirmed yet."""
    left = [one for one in linked.flows if not one.is_confirmed]
    title = (
        f"{linked.caller.name}: {format_count(len(left), 'flow')} to confirm"
        if left
        else f"{linked.caller.name}: everything is confirmed"
    )
    return render_page(
        "confirmation",
        style=read_style(),
        title=title,
        caller=linked.caller,
        link=linked.link,
        token=token,
        action=CONFIRMATION_PATH,
        lines=[_build_confirmation_line(services, one) for one in linked.flows],
    )


def _build_confirmation_line(services: Services, linked: LinkedFlow) -> ConfirmationLine:
    name, until = linked.job.display_name, find_earliest_turn_off_at(services, linked.job)
    left = "The original" if linked.calls_copy else "The copy"
    least = f", at least until {until:%-d %B %Y}" if until and until > services.now else ""
    is_off = linked.job.state is FlowJobState.RETIRED
    kept = "is off: calls to it fail." if is_off else f"stays on until you confirm{least}."
    return ConfirmationLine(
        linked=linked,
        wanted=f"the copy of {name}" if linked.calls_copy else f"the original of {name}",
        kept=f"{left} {kept}",
        new_url=describe_place_of_new_url(linked.flow) if linked.calls_copy else "",
    )

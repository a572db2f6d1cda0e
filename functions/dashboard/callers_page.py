"""Build the Callers page: the declared callers, and which of them are to be confirmed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from functions.dashboard.page_actions import FormInput, PageAction, build_page_action
from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.callers.caller_csv import COLUMNS
from shared.domain.callers.declared_caller import DeclaredCaller, describe_place_of_new_url
from shared.domain.callers.secret_caller import format_secret
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import format_count
from shared.domain.principal import Principal
from shared.use_cases.show_callers import (
    CalledFlowState,
    CalledFlowView,
    DeclaredCallerView,
    TenantCallers,
)

_HERE = "/api/dashboard/callers"
#: Look of each state, and its words.
_LOOKS: Mapping[CalledFlowState, tuple[str, str]] = {
    CalledFlowState.TO_CONFIRM: ("person", "to confirm"),
    CalledFlowState.IN_PROGRESS: ("work", "being migrated"),
    CalledFlowState.CONFIRMED: ("done", "confirmed"),
    CalledFlowState.UNCHANGED: ("over", "not migrated"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerChoice:
    """The filter that the reader chose, and the part of the callers that the page shows."""

    state: CalledFlowState | None
    search: str
    start: int
    limit: int

    def build_url(self, **more: str | int) -> str:
        """Return the URL of the page with this filter, changed by `more`. An empty text removes a
        condition.
        """
        merged = {"state": self.state or "", "search": self.search, **more}
        query = urlencode({name: value for name, value in merged.items() if value != ""})
        return f"{_HERE}?{query}" if query else _HERE

    def includes_caller(self, view: DeclaredCallerView) -> bool:
        if self.state and self.state not in {one.state for one in view.flows}:
            return False
        caller = view.caller
        texts = (caller.name, caller.owner, caller.contact, *(one.name for one in view.flows))
        return any(self.search.strip().casefold() in text.casefold() for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledFlowLine:
    """A flow that a declared caller calls, as the Callers page shows it."""

    view: CalledFlowView
    look: str
    words: str
    #: What the caller does now, or has to do.
    text: str
    #: Where the new URL is written; empty: nowhere.
    secret: str
    confirm: PageAction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerCard:
    """A declared caller on the Callers page, with the flows that it calls."""

    caller: DeclaredCaller
    facts: tuple[tuple[str, str], ...]
    lines: tuple[CalledFlowLine, ...]
    actions: tuple[PageAction, ...]


def build_callers_page(view: PageContext, choice: CallerChoice, found: TenantCallers) -> str:
    states = Counter(flow.state for one in found.callers for flow in one.flows)
    chosen = [one for one in found.callers if choice.includes_caller(one)]
    on_page = chosen[choice.start : choice.start + choice.limit]
    return render_page(
        "callers",
        view,
        section="Callers",
        here=_HERE,
        choice=choice,
        title=_format_page_title(found),
        parts=[
            (_LOOKS[state][0], states[state], _LOOKS[state][1], choice.build_url(state=state), "")
            for state in CalledFlowState
            if states[state]
        ],
        states=[(state, words) for state, (_, words) in _LOOKS.items()],
        cards=[_build_caller_card(one, view.principal) for one in on_page],
        total=len(chosen),
        declare=[_build_declare_action(view.principal), _build_upload_action(view.principal)],
        unreadable_rows=found.unreadable_rows,
    )


def _format_page_title(found: TenantCallers) -> str:
    left = [
        one
        for one in found.callers
        if any(flow.state is CalledFlowState.TO_CONFIRM for flow in one.flows)
    ]
    if left:
        be = "is" if len(left) == 1 else "are"
        return f"{format_count(len(left), 'declared caller')} {be} not confirmed"
    if found.callers:
        return "No declared caller has to be confirmed"
    return "No caller is declared"


def _build_caller_card(view: DeclaredCallerView, principal: Principal) -> CallerCard:
    caller = view.caller
    length = f"{caller.max_url_length:,} characters" if caller.max_url_length else ""
    facts = {
        "Owner": caller.owner,
        "Contact": caller.contact,
        "Longest URL": length,
        "Hosts": ", ".join(caller.allowed_hosts),
        "Authentication": caller.authentication,
        "Notification": caller.notification,
    }
    return CallerCard(
        caller=caller,
        facts=tuple((name, value) for name, value in facts.items() if value),
        lines=tuple(_build_called_flow_line(caller, one, principal) for one in view.flows),
        actions=(
            _build_add_or_change_flow_action(caller, principal),
            _build_remove_action(caller, principal),
        ),
    )


def _build_called_flow_line(
    caller: DeclaredCaller, view: CalledFlowView, principal: Principal
) -> CalledFlowLine:
    look, words = _LOOKS[view.state]
    secret = view.flow.new_url_secret
    return CalledFlowLine(
        view=view,
        look=look,
        words=words,
        text=_describe_called_flow(view),
        secret=format_secret(secret) if secret else "",
        confirm=_build_confirm_action(caller, view, principal)
        if view.state is CalledFlowState.TO_CONFIRM
        else None,
    )


def _describe_called_flow(view: CalledFlowView) -> str:
    flow, job = view.flow, view.job
    if view.state is CalledFlowState.TO_CONFIRM and job:
        if job.is_rolling_back:
            return "It has to call the original again. The copy stays on until then."
        if job.state is FlowJobState.RETIRED:
            return "It has to call the copy. The original is off."
        where = describe_place_of_new_url(flow)
        return f"It has to call the copy. {where} The original stays on until then."
    if view.state is CalledFlowState.CONFIRMED and flow.confirmed_at:
        return f"Confirmed by {flow.confirmed_by} on {flow.confirmed_at:%Y-%m-%d %H:%M} UTC."
    if view.state is CalledFlowState.IN_PROGRESS:
        is_rolling_back = job is not None and job.is_rolling_back
        return (
            "Its original is being restored." if is_rolling_back else "Its copy is not ready yet."
        )
    return ""


def _build_confirm_action(
    caller: DeclaredCaller, view: CalledFlowView, principal: Principal
) -> PageAction | None:
    job = view.job
    if job is None:
        return None
    side, other = ("original", "copy") if job.is_rolling_back else ("copy", "original")
    return build_page_action(
        "declared-callers/confirm",
        "Confirm",
        principal,
        fields=(("name", caller.name), ("flow", job.original.id)),
        does=[
            f"You state that {caller.name} calls the {side} of {job.display_name}.",
            f"The {other} is turned off when it receives no more calls.",
        ],
    )


def _build_remove_action(caller: DeclaredCaller, principal: Principal) -> PageAction:
    return build_page_action(
        "declared-callers/remove",
        "Remove",
        principal,
        fields=(("name", caller.name),),
        does=[
            f"No remediation waits for {caller.name} any longer.",
            "This is rejected while an original that it calls still receives calls.",
        ],
    )


def _build_add_or_change_flow_action(caller: DeclaredCaller, principal: Principal) -> PageAction:
    return build_page_action(
        "declared-callers/flows",
        "Add a flow or change",
        principal,
        fields=(("name", caller.name),),
        inputs=(*_build_flow_inputs(), *_build_caller_inputs(caller)),
        does=["The other flows and their confirmations stay."],
    )


def _build_declare_action(principal: Principal) -> PageAction:
    name = FormInput(name="name", label="Name of the system", is_required=True)
    return build_page_action(
        "declared-callers/flows",
        "Declare a caller",
        principal,
        inputs=(name, *_build_flow_inputs(), *_build_caller_inputs(None)),
        does=[
            "Remediations of this flow keep the original on until the system is confirmed.",
        ],
    )


def _build_upload_action(principal: Principal) -> PageAction:
    return build_page_action(
        "dashboard/callers/file",
        "Upload a CSV file",
        principal,
        inputs=(FormInput(name="file", label="CSV file", kind="file", is_required=True),),
        does=[
            "The next page shows what would change. Nothing is stored before you confirm it there.",
            f"One line for each flow. The first line has these columns: {', '.join(COLUMNS)}.",
        ],
    )


def _build_flow_inputs() -> tuple[FormInput, ...]:
    return (
        FormInput(name="environment_id", label="Environment id (with a flow)"),
        FormInput(name="flow", label="Flow, by name or id"),
        FormInput(
            name="trigger_url_id",
            label="Or trigger URL id (32 digits after /workflows/)",
            pattern=("[0-9A-Fa-f]{32}", ""),
        ),
        FormInput(
            name="new_url_secret",
            label="Key Vault secret for the new URL (optional)",
            pattern=("https://.+/secrets/.+", "https://VAULT.vault.azure.net/secrets/NAME"),
        ),
    )


def _build_caller_inputs(caller: DeclaredCaller | None) -> tuple[FormInput, ...]:
    length = caller.max_url_length if caller else None
    texts = {
        "owner": ("Owner", caller.owner if caller else ""),
        "contact": ("Contact of the owner", caller.contact if caller else ""),
    }
    more = {
        "allowed_hosts": (
            "Hosts that it may call, separated by blanks (optional)",
            " ".join(caller.allowed_hosts) if caller else "",
        ),
        "authentication": ("Authentication (optional)", caller.authentication if caller else ""),
        "notification": (
            "How to notify the owner of a change (optional)",
            caller.notification if caller else "",
        ),
    }
    return (
        *(
            FormInput(name=name, label=label, value=value, is_required=True)
            for name, (label, value) in texts.items()
        ),
        FormInput(
            name="max_url_length",
            label="Longest URL, in characters (optional)",
            value=str(length or ""),
            kind="number",
            limits=(1, 100_000),
        ),
        *(FormInput(name=name, label=label, value=value) for name, (label, value) in more.items()),
    )

"""Whether a key can be applied, and what it means for firewalls, apps and solutions.

Where the platform gave no answer the finding is *unknown*, never *ok*. See
platform.md#environment-requirements, #solution-by-default, #canvas-apps.
"""

from collections.abc import Collection, Iterator, Mapping

from shared.domain.assessment.assessment import AssessedFlow, AssessmentPhase
from shared.domain.assessment.flows import phase_for
from shared.domain.assessment.snapshots import CanvasApp, EnvironmentSnapshot, NoAnswer
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import MIGRATION_LONGEST, PolicyLinkStatus
from shared.domain.finding import Finding, ok, problem, unknown, warning
from shared.domain.keys import key_check as readiness
from shared.domain.keys.environment_checks import (
    ENVIRONMENT_LIMIT,
    ENVIRONMENT_WARNING,
    geography_finding,
    managed_finding,
    sku_finding,
)
from shared.domain.plans.flow_facts import FlowFacts

#: Where trigger URLs lie (platform.md#url-shapes): no firewall of a customer's is before them.
_FLOW_HOSTS = (".api.powerplatform.com", ".logic.azure.com")
_POWER_APPS = frozenset({TriggerCategory.POWER_APPS_V1, TriggerCategory.POWER_APPS_V2})


def eligibility_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield whether a customer's key can be applied, or is being applied well."""
    environment = facts.environment
    yield managed_finding(environment)
    yield sku_finding(environment)
    yield _geography(facts)
    yield _limit(facts)
    yield _link(facts)


def _geography(facts: EnvironmentSnapshot) -> Finding:
    environment, policy = facts.environment, facts.policy
    code = "environment_geography"
    lies = f"{environment.display_name} lies in '{environment.geography}'"
    match policy:
        case NoAnswer():
            text = f"{lies}; the policies could not be read: {policy.why}"
            remedy = "Give the app the role Reader where the policies are; then assess again."
        case None if environment.policy:
            text = f"{lies}; its policy is in none of the watched subscriptions."
            remedy = "Add the policy's subscription to CMK_SUBSCRIPTION_IDS, or compare by hand."
        case None:
            text = f"{lies}; no policy was named."
            remedy = "Name the policy to have its geography compared: both must be the same."
        case _:
            return geography_finding(policy, environment)
    return unknown(code, text, remedy, environment.id)


def _limit(facts: EnvironmentSnapshot) -> Finding:
    count = facts.keyed_environments + (facts.environment.policy is None)
    are = "environment of the tenant is" if count == 1 else "environments of the tenant are"
    text = f"With this one, {count} {are} under customer-managed keys"
    ticket = "Ask Microsoft's support to raise the limit before the next environment is added."
    if count > ENVIRONMENT_LIMIT:
        return problem("environment_limit", f"{text}: above {ENVIRONMENT_LIMIT}.", ticket)
    limit = f"{text}; the default limit for Power Automate is {ENVIRONMENT_LIMIT}."
    if count >= ENVIRONMENT_WARNING:
        return warning("environment_limit", limit, ticket)
    return ok("environment_limit", limit)


def _link(facts: EnvironmentSnapshot) -> Finding:
    code, link = "policy_link", facts.environment.policy
    if link is None:
        return ok(code, "No customer-managed key is applied yet.")
    if link.status is PolicyLinkStatus.FAILED:
        return problem(
            code,
            "Applying the policy failed.",
            "Add the environment to the policy again: it goes on where it stopped.",
        )
    if link.status is not PolicyLinkStatus.LINKED:
        text = f"The policy is {link.status}: flows cannot be created or changed meanwhile."
        return warning(code, text, "Wait; it may take up to four days.")
    phase = phase_for(facts)
    if phase is AssessmentPhase.UNKNOWN:
        text = "The policy is in force. Whether flows have moved under it is not known."
        return unknown(code, text, "Assess again.")
    if phase is AssessmentPhase.AFTER:
        return ok(code, "The policy is in force, and what moves by itself has moved.")
    assert not isinstance(facts.reports, NoAnswer)
    text = f"{facts.reports.movable} flows could move under the key by themselves and have not."
    since = facts.linked_since
    if since and facts.at - since > MIGRATION_LONGEST:
        return problem(
            code,
            f"{text} The policy is in force since {since:%Y-%m-%d} at least: it was applied "
            "before flows were covered, or the migration is stuck.",
            "Ask Microsoft's support, in a ticket, to move the environment's flows under the key.",
        )
    return warning(
        code,
        f"{text} The migration goes on, or the policy was applied before flows were covered.",
        "Wait up to four days. If they are still listed then, ask Microsoft's support in a ticket "
        "to move the environment's flows.",
    )


def key_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield whether the key that protects the environment, or is to, can do so."""
    code = "key_checked"
    match facts.key:
        case NoAnswer():
            text = f"The key could not be looked at: {facts.key.why}"
            yield unknown(code, text, "Assess again.")
        case None:
            yield unknown(
                code,
                "There is no policy whose key could be looked at.",
                "Name the policy that is to be applied (`--policy`); before there is one, the key"
                " (`--vault VAULT --of-key KEY`).",
            )
        case _:
            yield from readiness.key_findings(facts.key)


def network_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield the firewalls that have to let the new addresses in."""
    code = "network"
    if isinstance(facts.flows, NoAnswer):
        yield unknown(code, "Which hosts the flows call is not known.", "Assess again.")
        return
    hosts = {
        host
        for one in facts.flows.values()
        if one.summary
        for host in one.summary.http_hosts
        if not host.endswith(_FLOW_HOSTS)
    }
    if not hosts:
        yield (
            ok(code, "No flow sends HTTP requests but to other flows.")
            if facts.has_all_flows
            else unknown(code, "Not all flows could be read for the hosts that they call.")
        )
        return
    names = ", ".join(sorted(hosts - {"*"})[:20])
    more = " Some flows work out the host when they run." if "*" in hosts else ""
    yield warning(
        code,
        f"Calls to {names or 'hosts known only at run time'} come from new addresses under the "
        f"key.{more}",
        "Let the service tag PowerPlatformPlex in at every firewall before them, also at those "
        "that this app cannot see.",
    )
    if isinstance(facts.network_gaps, NoAnswer):
        text = f"The firewalls could not be read: {facts.network_gaps.why}"
        yield unknown("firewall", text, "Give the app the role Reader on their subscriptions.")
        return
    for gap in facts.network_gaps:
        finding = problem if gap.is_certain else unknown
        if not gap.is_required:
            finding = warning
        yield finding("firewall", gap.text, gap.instruction, gap.name)


def canvas_app_findings(
    facts: EnvironmentSnapshot, flows: Collection[AssessedFlow]
) -> Iterator[Finding]:
    """Yield the apps that call flows: no supported API points an app at another flow.

    See platform.md#canvas-apps.
    """
    code = "canvas_apps"
    if isinstance(facts.canvas_apps, NoAnswer):
        text = f"The canvas apps could not be read: {facts.canvas_apps.why}"
        yield unknown(code, text, "Ask the makers which apps call a flow that stays.")
        return
    staying = {key: flow for flow in flows for key in (flow.workflow_id, flow.flow_name)}
    known = {} if isinstance(facts.flows, NoAnswer) else facts.flows
    by_id = {key: one for one in known.values() for key in (one.workflow_id, one.flow_name)}
    found = False
    for app in facts.canvas_apps:
        called = {staying[one].display_name for one in app.flow_ids & staying.keys()}
        outside = _outside_solution(app, by_id) - called
        if called:
            found = True
            yield problem(
                code,
                f"The app {app.display_name} calls {', '.join(sorted(called))}, which stays.",
                "When the flow has its copy, open the app, add the copy, take the old one out and "
                "publish: no interface of the platform does it. A flow that is added to a solution "
                "before the key should keep its place in the app; after a change to the V2 trigger "
                "open the app and refresh the flow.",
                app.name,
            )
        if outside:
            found = True
            yield warning(
                "app_flow_outside_solution",
                f"The app {app.display_name} calls {', '.join(sorted(outside))}, in no solution.",
                "Add the flow to a solution: under the key an app cannot be given flows without.",
                app.name,
            )
        if gap := _gap(app, by_id):
            found = True
            yield unknown(code, gap, "Open the app and look which flows it calls.", app.name)
    if not found:
        yield ok(code, f"{len(facts.canvas_apps)} canvas apps call flows; none calls one in doubt.")


def _gap(app: CanvasApp, flows: Mapping[str, FlowFacts]) -> str:
    if app.gap or app.flow_ids & flows.keys():
        return app.gap
    return f"The app {app.display_name} uses flows, but which ones cannot be read from it."


def _outside_solution(app: CanvasApp, flows: Mapping[str, FlowFacts]) -> set[str]:
    called = (flows[one] for one in app.flow_ids if one in flows)
    return {one.display_name for one in called if one.in_solution is False}


def solution_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield the setting that makes new flows solution flows, and Power Apps flows without one."""
    code, setting = "auto_solution", facts.creates_flows_in_solutions
    fix = (
        "Turn on 'Create new cloud flows in Dataverse solutions' in the environment's settings "
        "(organization.enableflowsinsolutionbydefault = true)."
    )
    if isinstance(setting, NoAnswer):
        yield unknown(code, f"The setting for new flows could not be read: {setting.why}", fix)
    elif setting:
        yield ok(code, "New flows are made in a solution.")
    else:
        yield warning(
            code,
            "New flows are made outside solutions: under the key no app can be given such a flow.",
            fix,
        )
    if isinstance(facts.flows, NoAnswer):
        text = f"Power Apps flows in no solution are not known: {facts.flows.why}"
        yield unknown("power_apps_flow_outside_solution", text, "Assess again.")
        return
    for flow in facts.flows.values():
        if flow.summary and flow.summary.category in _POWER_APPS and flow.in_solution is not True:
            what = "in no solution" if flow.in_solution is False else "perhaps in no solution"
            finding = warning if flow.in_solution is False else unknown
            yield finding(
                "power_apps_flow_outside_solution",
                f"{flow.display_name} starts from Power Apps and is {what}.",
                "Add it to a solution, or no further app can be given it under the key.",
                flow.workflow_id,
            )

"""Check whether a key can be applied, and what it changes for firewalls, apps and solutions.

If the platform did not answer a question, its finding is *unknown*, never *ok*. See
platform.md#environment-requirements, #solution-by-default, #canvas-apps.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from shared.domain.assessment.assessment import AssessedFlow, AssessmentPhase
from shared.domain.assessment.flows import find_phase
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.clouds import CLOUDS
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import MIGRATION_LONGEST, PolicyLinkStatus
from shared.domain.finding import Finding, passed, problem, unknown, warning
from shared.domain.keys import key_check as readiness
from shared.domain.keys.environment_checks import (
    ENVIRONMENT_LIMIT,
    ENVIRONMENT_WARNING,
    check_environment_type,
    check_geography,
    check_managed_environment,
)
from shared.domain.network.firewall_issue import NOT_REQUIRED, FirewallIssue
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.power_apps import CanvasApp

#: Hosts of trigger URLs (platform.md#url-shapes). No firewall of the customer protects them.
_FLOW_HOSTS = tuple(
    f".{domain}"
    for cloud in CLOUDS.values()
    for domain in (cloud.power_platform_domain, cloud.logic_apps_domain)
)
#: Firewalls that a finding names.
_NAMED = 5
_POWER_APPS = frozenset({TriggerCategory.POWER_APPS_V1, TriggerCategory.POWER_APPS_V2})


def list_eligibility_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield findings on whether a customer-managed key can be applied to the environment.

    If one is applied, a finding also says whether the environment's link to its policy works.
    """
    environment = facts.environment
    yield check_managed_environment(environment)
    yield check_environment_type(environment)
    yield _build_geography_finding(facts)
    yield _build_environment_limit_finding(facts)
    yield _build_policy_link_finding(facts)


def _build_geography_finding(facts: EnvironmentSnapshot) -> Finding:
    environment, policy = facts.environment, facts.policy
    code = "environment_geography"
    location = f"{environment.display_name} is in '{environment.geography}'"
    match policy:
        case NoAnswer():
            text = f"{location}, but the policies could not be read: {policy.message}"
            remedy = (
                "Give the app the role Reader on the policies' resource groups, then assess again."
            )
        case None if environment.policy:
            text = f"{location}, but its policy is in none of the subscriptions that the app reads."
            remedy = (
                "Add the policy's subscription to CMK_SUBSCRIPTION_IDS, or compare the two "
                "geographies yourself."
            )
        case None:
            text = f"{location}, and no policy was named to compare it with."
            remedy = (
                "Name the policy with --policy: the policy and the environment must be in the "
                "same geography."
            )
        case _:
            return check_geography(policy, environment)
    return unknown(code, text, remedy, environment.id)


def _build_environment_limit_finding(facts: EnvironmentSnapshot) -> Finding:
    count = facts.keyed_environments + (facts.environment.policy is None)
    are = "environment of the tenant is" if count == 1 else "environments of the tenant are"
    text = f"Including this one, {count} {are} on customer-managed keys"
    ticket = "Ask Microsoft's support to raise the limit before the next environment is added."
    if count > ENVIRONMENT_LIMIT and facts.environment.policy is None:
        return problem("environment_limit", f"{text}: above {ENVIRONMENT_LIMIT}.", ticket)
    limit = f"{text}; the default limit for Power Automate is {ENVIRONMENT_LIMIT}."
    if count >= ENVIRONMENT_WARNING:
        return warning("environment_limit", limit, ticket)
    return passed("environment_limit", limit)


def _build_policy_link_finding(facts: EnvironmentSnapshot) -> Finding:
    code, link = "policy_link", facts.environment.policy
    if link is None:
        return passed(code, "No customer-managed key is applied yet.")
    if link.status is PolicyLinkStatus.FAILED:
        return problem(
            code,
            "Applying the policy failed.",
            "Add the environment to the policy again: the platform continues where it stopped.",
        )
    if link.status is not PolicyLinkStatus.LINKED:
        text = (
            f"The policy's status is {link.status}. Until it is linked, flows cannot be created "
            "or changed."
        )
        return warning(code, text, "Wait. This may take up to four days.")
    phase = find_phase(facts)
    if phase is AssessmentPhase.UNKNOWN:
        text = "The policy is linked. The app could not read which flows have moved to the key."
        return unknown(code, text, "Assess again.")
    if phase is AssessmentPhase.AFTER_KEY:
        return passed(
            code, "The policy is linked, and the platform has moved every flow that it moves."
        )
    assert not isinstance(facts.microsoft_key_lists, NoAnswer)
    text = (
        f"{facts.microsoft_key_lists.movable} flows that the platform should move to the key "
        "are still on Microsoft's key."
    )
    since = facts.linked_at
    if since and facts.read_at - since > MIGRATION_LONGEST:
        return problem(
            code,
            f"{text} The policy has been linked since {since:%Y-%m-%d} or earlier: either it was "
            "applied before keys covered flows, or the platform migration does not progress.",
            (
                "Open a support ticket with Microsoft to have the environment's flows moved to "
                "the key."
            ),
        )
    return warning(
        code,
        (
            f"{text} The platform migration is in progress, or the policy was applied before keys "
            "covered flows."
        ),
        "Wait up to four days. If they are still listed then, open a support ticket with "
        "Microsoft to have the environment's flows moved.",
    )


def list_environment_key_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield findings about the applied or proposed key."""
    code = "key_checked"
    match facts.key:
        case NoAnswer():
            text = f"The key could not be read: {facts.key.message}"
            yield unknown(code, text, "Assess again.")
        case None:
            yield unknown(
                code,
                "No policy is known, so the app cannot check its key.",
                "Name the policy that you want to apply (`--policy`). If there is none yet, name "
                "the key (`--vault VAULT --key KEY`).",
            )
        case _:
            yield from readiness.list_key_findings(facts.key)


def list_network_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield findings about the hosts that flows call and the firewalls of these hosts."""
    code = "network"
    if isinstance(facts.flows, NoAnswer):
        yield unknown(code, "The hosts that the flows call could not be read.", "Assess again.")
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
            passed(code, "Flows send HTTP requests only to other flows.")
            if facts.has_all_flows
            else unknown(code, "The called hosts are incomplete: not all flows could be read.")
        )
        return
    names = ", ".join(sorted(hosts - {"*"})[:20])
    more = " Some flows compute the host at run time." if "*" in hosts else ""
    yield warning(
        code,
        f"Calls to {names or 'hosts known only at run time'} come from new addresses once the key "
        f"is applied.{more}",
        "Allow the service tag PowerPlatformPlex in every firewall in front of these hosts, "
        "including those that the app cannot read.",
    )
    if isinstance(facts.firewall_issues, NoAnswer):
        text = f"The firewalls could not be read: {facts.firewall_issues.message}"
        yield unknown(
            "firewall", text, "Give the app the role Reader on the firewalls' subscriptions."
        )
        return
    for issue in facts.firewall_issues:
        if issue.is_required:
            finding = problem if issue.is_certain else unknown
            yield finding("firewall", issue.message, issue.fix, issue.name)
    yield from _list_unrequired_firewall_findings(facts.firewall_issues)


def _list_unrequired_firewall_findings(issues: Iterable[FirewallIssue]) -> Iterator[Finding]:
    """Yield a finding for each group of similar issues that are not required."""
    groups: dict[tuple[object, ...], list[FirewallIssue]] = {}
    for issue in issues:
        if not issue.is_required:
            # Public access that is off, or an unknown address, has another fix.
            is_special = issue.denies_all_public_access or not issue.missing_prefixes
            own = issue.name if issue.firewall_id and is_special else ""
            key = (bool(issue.firewall_id), issue.missing_tags, own)
            groups.setdefault(key, []).append(issue)
    for equal in groups.values():
        tags = equal[0].missing_tags
        if len(equal) == 1:
            yield warning("firewall", equal[0].message, equal[0].fix, equal[0].name)
        elif equal[0].firewall_id:
            names = _format_first_names([one.firewall_name for one in equal])
            text = f"{len(equal)} firewalls do not surely allow {', '.join(tags)}: {names}."
            fix = f"Allow inbound HTTPS from these service tags on each of them.{NOT_REQUIRED}"
            yield warning("firewall", text, fix)
        else:
            names = _format_first_names([one.name.partition(":")[2] for one in equal])
            text = f"The app reads no firewall of {len(equal)} called hosts: {names}."
            yield warning("firewall", text, equal[0].fix.replace("its owner", "their owners"))


def _format_first_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def list_canvas_app_findings(
    facts: EnvironmentSnapshot, flows: Collection[AssessedFlow]
) -> Iterator[Finding]:
    """Yield findings about canvas apps that call flows. Only the maker of an app can change it.

    See platform.md#canvas-apps.
    """
    code = "canvas_apps"
    if isinstance(facts.canvas_apps, NoAnswer):
        text = f"The canvas apps could not be read: {facts.canvas_apps.message}"
        yield unknown(
            code, text, "Ask the makers which apps call a flow that stays on Microsoft's key."
        )
        return
    staying = {key: flow for flow in flows for key in (flow.workflow_id, flow.flow_name)}
    known = {} if isinstance(facts.flows, NoAnswer) else facts.flows
    by_id = {key: one for one in known.values() for key in (one.workflow_id, one.flow_name)}
    found = False
    for app in facts.canvas_apps:
        called = {staying[one].display_name for one in app.flow_ids & staying.keys()}
        outside = _find_flows_outside_solutions(app, by_id) - called
        if called:
            found = True
            yield problem(
                code,
                (
                    f"The app {app.display_name} calls {', '.join(sorted(called))}, which stays "
                    "on Microsoft's key."
                ),
                "When the flow has its copy, open the app, add the copy, remove the original and "
                "publish; the platform has no API for this. If the flow is instead added to a "
                "solution before the key is applied, the app should keep calling it. If its "
                "trigger is changed to V2, open the app and refresh the flow.",
                app.name,
            )
        if outside:
            found = True
            yield warning(
                "app_flow_outside_solution",
                (
                    f"The app {app.display_name} calls {', '.join(sorted(outside))}, which is in "
                    "no solution."
                ),
                (
                    "Add the flow to a solution: once the key is applied, only flows in a "
                    "solution can be added to an app."
                ),
                app.name,
            )
        if text := _explain_unknown_flows(app, by_id):
            found = True
            yield unknown(code, text, "Open the app and check which flows it calls.", app.name)
    if not found:
        number = len(facts.canvas_apps)
        apps = "1 canvas app calls" if number == 1 else f"{number or 'No'} canvas apps call"
        rest = "; none calls a flow that stays on Microsoft's key" if number else ""
        yield passed(code, f"{apps} flows{rest}.")


def _explain_unknown_flows(app: CanvasApp, flows: Mapping[str, FlowFacts]) -> str:
    if app.unknown_reason or app.flow_ids & flows.keys():
        return app.unknown_reason
    return f"The app {app.display_name} uses flows, but which ones cannot be read from it."


def _find_flows_outside_solutions(app: CanvasApp, flows: Mapping[str, FlowFacts]) -> set[str]:
    called = (flows[one] for one in app.flow_ids if one in flows)
    return {one.display_name for one in called if one.in_solution is False}


def list_solution_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield findings about the solution setting and about Power Apps flows outside solutions."""
    code, setting = "auto_solution", facts.creates_flows_in_solutions
    fix = (
        "Turn it on: `cmkflow environment solution-setting ENVIRONMENT --turn-on`, or 'Create new "
        "cloud flows in Dataverse solutions' in the environment's features."
    )
    if isinstance(setting, NoAnswer):
        yield unknown(code, f"The setting for new flows could not be read: {setting.message}", fix)
    elif setting:
        yield passed(code, "New flows are created in a solution.")
    else:
        yield warning(
            code,
            (
                "New flows are created outside solutions. Once the key is applied, such a flow "
                "cannot be added to an app."
            ),
            fix,
        )
    if isinstance(facts.flows, NoAnswer):
        text = f"The Power Apps flows in no solution could not be read: {facts.flows.message}"
        yield unknown("power_apps_flow_outside_solution", text, "Assess again.")
        return
    for flow in facts.flows.values():
        if flow.summary and flow.summary.category in _POWER_APPS and flow.in_solution is not True:
            what = "in no solution" if flow.in_solution is False else "perhaps in no solution"
            finding = warning if flow.in_solution is False else unknown
            yield finding(
                "power_apps_flow_outside_solution",
                f"{flow.display_name} starts from Power Apps and is {what}.",
                (
                    "Add it to a solution. Otherwise it cannot be added to another app once the "
                    "key is applied."
                ),
                flow.workflow_id,
            )

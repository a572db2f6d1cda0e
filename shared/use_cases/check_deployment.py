"""Check whether this deployment can do its work: connections, permissions, settings.

Changes nothing, except that it may renew the sign-in of the service account. The checks run at the
same time; one that fails does not stop the others.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from shared.alerts import format_error_cause
from shared.concurrency import read_each
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.environment import ApprovalPolicy, Environment, EnvironmentSettings
from shared.domain.finding import Finding, passed, problem, unknown, warning
from shared.domain.kill_switch import EFFECT
from shared.domain.permissions import IN_DATAVERSE, IN_POWER_PLATFORM, WATCHED
from shared.domain.plans.channel_settings import format_channel_setting_names
from shared.errors import (
    CmkflowError,
    JobBlocked,
    NotFound,
    PlatformError,
    RefusedForNow,
    StorageKeyUnusable,
    TokenRejected,
    TransientError,
)
from shared.jobs.due_scan import count_overdue_rows
from shared.ports import FirewallKind, SearchesScopes
from shared.queues import POISON
from shared.reason import Reason
from shared.services import Services
from shared.settings import Settings
from shared.steps.write_permission import find_kill_switch
from shared.use_cases.check_health import read_failing_channels
from shared.use_cases.check_permissions import (
    check_caller_kind_permissions,
    check_dataverse_roles,
    check_fix_permissions,
    check_subscription_permissions,
)
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.run_daily_check import QUEUES, SWEEP
from shared.use_cases.seal_audit_log import read_last_seal
from shared.use_cases.show_status import SWEEP_IS_MISSING

_IDENTITY = "Check that CMK_CLIENT_ID is the app's identity, then deploy again (azd up), which "
_REJECTED = "Check CMK_CLIENT_ID and CMK_CLOUD, then deploy again (azd up)."
_READER = "Give the identity Reader and Key Vault Reader on each of CMK_SUBSCRIPTION_IDS."
#: Lifetime of an Entra refresh token after its last use.
_SIGN_IN_LASTS = timedelta(days=90)
#: A seal ends at a midnight, and the next daily check follows a day later.
_SEAL_IS_MISSING = timedelta(days=3)
_MINUTE = timedelta(minutes=1)
#: The machine's clock and the store's may differ by this.
_CLOCK_DIFFERENCE = 5 * _MINUTE
#: App Service ends a request after 230 seconds. A check that contains others may take longer than
#: these, so that the findings of the others are kept.
_SECONDS, _MORE_SECONDS = 180.0, 20.0
#: When a check without parts must end, by the clock of the event loop.
_ends_at: ContextVar[float] = ContextVar("ends_at")
#: Fix for each check that fails, by its code.
_REMEDIES: Mapping[str, str] = {
    "sign_in": "Check that the app can reach its own URL, https://WEBSITE_HOSTNAME.",
    "state": f"{_IDENTITY}assigns Storage Table Data Contributor on CMK_STORAGE_ACCOUNT.",
    "archive": f"{_IDENTITY}assigns Storage Blob Data Owner on CMK_STORAGE_ACCOUNT.",
    "queues": (
        f"{_IDENTITY}creates the queues, assigns Azure Service Bus Data Owner, and sets "
        "ServiceBusConnection__fullyQualifiedNamespace."
    ),
    "timers": "Check in the app's log whether its timers run.",
    "channels": "Check the channel's settings (docs/notifications.md).",
    "power_platform": IN_POWER_PLATFORM.fix,
    "flow_service": IN_POWER_PLATFORM.fix,
    "dataverse": IN_DATAVERSE.fix,
    "service_account": "Sign in the service account: cmkflow service-account sign-in.",
    "subscriptions": WATCHED.fix,
    "keys": _READER,
    "evidence_key": (
        "Deploy again (azd up), which creates the key and assigns the role Flow remediation: "
        "evidence key on it, or set CMK_EVIDENCE_KEY to an "
        "RSA key whose public key the app may read and that it may sign with."
    ),
    "time_stamps": "Set CMK_TIME_STAMP_AUTHORITY to a time stamp authority that the app reaches.",
    "service_tags": f"{_READER} Or set CMK_SERVICE_TAGS_FILE.",
    "callers": _READER,
    "firewalls": _READER,
    "firewall_fixes": _READER,
}


async def check_deployment(services: Services) -> list[Finding]:
    """Return the findings of all checks, in the order in which a deployment is set up."""
    _ends_at.set(asyncio.get_running_loop().time() + _SECONDS)
    found = check_settings(services)
    return found + await _run_checks(
        _run_check(code, check(services), has_parts=True) for code, check in _CHECKS.items()
    )


async def _run_checks(checks: Iterable[Coroutine[Any, Any, list[Finding]]]) -> list[Finding]:
    found = await read_each(checks, lambda check: check)
    return [one for some in found for one in some]


async def _run_check(
    code: str,
    check: Awaitable[list[Finding]],
    subject: str = "",
    remedy: str = "",
    *,
    has_parts: bool = False,
) -> list[Finding]:
    """Return the findings of a check, or one finding about its error.

    If the check contains other checks (`has_parts`), it gets more time.
    """
    remedy = remedy or _REMEDIES[code]
    try:
        async with asyncio.timeout_at(_ends_at.get() + (_MORE_SECONDS if has_parts else 0)):
            return await check
    except TimeoutError:
        text, fix = "The check did not end in time.", f"Try again. If it persists: {remedy}"
        return [unknown(code, text, fix, subject)]
    except JobBlocked as err:
        text, fix = err.reason, err.fix or remedy
    except StorageKeyUnusable as err:
        text, fix = str(err), err.code.fix
    except TokenRejected as err:
        text, fix = str(err), f"{_REJECTED} If that is not the reason: {remedy}"
    except RefusedForNow as err:
        text, fix = str(err), remedy
    except TransientError as err:
        fix = (
            "Try again. If it persists, allow its host in the app's network and check "
            f"CMK_CLOUD. If that is not the reason: {remedy}"
        )
        return [unknown(code, f"The service does not answer: {err}", fix, subject)]
    except CmkflowError as err:
        text, fix = str(err), remedy
    except Exception as err:  # noqa: BLE001 -- a bug in one check must not stop the others
        text, fix = f"The check failed: {format_error_cause(err)}", Reason.ROW_SKIPPED.fix
    return [problem(code, text, fix, subject)]


def check_settings(services: Services) -> list[Finding]:
    """Return findings about the settings. Sends no request."""
    settings = services.settings
    found = [passed("settings", f"Watched subscriptions: {len(settings.subscription_ids)}.")]
    if not settings.subscription_ids:
        text = "CMK_SUBSCRIPTION_IDS is empty, so the app finds no key, caller or firewall."
        found = [problem("settings", text, "Set it to the subscriptions to watch.")]
    found += _check_hosts_in_cloud(settings)
    if settings.storage_account and not settings.client_id:
        text = "CMK_CLIENT_ID is empty, so the app uses the system-assigned identity."
        fix = "Deploy again (azd up), which sets it to the identity that has the roles."
        found.append(warning("settings", text, fix))
    if settings.has_app_service_authentication and not settings.sign_in_client_id:
        text = "CMK_SIGN_IN_CLIENT_ID is empty, so cmkflow login does not find the registration."
        found.append(warning("sign_in", text, "Deploy again (azd up), which sets it."))
    if settings.has_app_service_authentication:
        found.append(passed("sign_in", "App Service authentication is on."))
    else:
        text = "App Service authentication is off, so names of requesters are not verified."
        found.append(
            warning("sign_in", text, "Turn on App Service authentication (docs/security.md).")
        )
    if settings.function_key_roles:
        text = f"Function keys have the roles {', '.join(settings.function_key_roles)}."
        found.append(
            warning("sign_in", text, "Clear CMK_FUNCTION_KEY_ROLES once people can sign in.")
        )
    if not settings.storage_account:
        text = f"State and archive are in a local folder, {settings.state_folder}."
        fix = "In Azure, set CMK_STORAGE_ACCOUNT. A local folder is lost with its instance."
        found.append(warning("settings", text, fix))
    if len(services.channels) < 2:  # the log is always a channel
        text = "Notifications are only written to the log, and to alerts that read it."
        fix = "Set up a notification channel, or set CMK_ACTION_GROUP_ID for the alerts."
        found.append(warning("channels", text, fix))
    return found


def _check_hosts_in_cloud(settings: Settings) -> list[Finding]:
    """Return findings about settings whose host does not belong to the cloud in CMK_CLOUD."""
    cloud = settings.cloud
    token_cache = settings.service_account_token_cache_secret
    namespace = settings.service_bus_namespace
    found = []
    for name, value, domain in (
        ("CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET", token_cache, cloud.key_vault_domain),
        ("ServiceBusConnection__fullyQualifiedNamespace", namespace, cloud.service_bus_domain),
    ):
        host = urlsplit(value).hostname or value
        if value and not host.endswith(f".{domain}"):
            text = f"{name} names {host}, which is not a host in {domain}."
            fix = f"Correct {name}, or CMK_CLOUD ({settings.cloud_name})."
            found.append(problem("settings", text, fix))
    return found


async def _check_channels(services: Services) -> list[Finding]:
    failing = {one.channel: one for one in await read_failing_channels(services, RowReader())}
    found = []
    for channel in services.channels:
        if one := failing.get(channel.name):
            found.append(problem("channels", one.error, one.fix, channel.name))
        elif settings := format_channel_setting_names(channel.name):
            text = f"No notification has failed ({settings})."
            found.append(passed("channels", text, channel.name))
    return found


async def _check_function_key_validation(services: Services) -> list[Finding]:
    if not services.settings.function_key_roles:
        return []
    # Any answer, accepted or not, shows that the host can be reached.
    await services.function_keys.accepts("doctor")
    return [passed("sign_in", "The Functions host checks function keys.")]


async def _check_store(services: Services) -> list[Finding]:
    switch = await find_kill_switch(services)
    found = [passed("state", "The store is available.")]
    if switch and switch.is_on:
        text = f"The kill switch is on: {switch.justification} {EFFECT}"
        found.append(
            warning("kill_switch", text, "When the reason is fixed: cmkflow kill-switch off.")
        )
    lead = services.clock.measure_local_clock_lead()
    if abs(lead) > _CLOCK_DIFFERENCE:
        text = (
            f"The machine's clock is {abs(lead) / _MINUTE:,.0f} minutes "
            f"{'ahead of' if lead > timedelta() else 'behind'} the store's. Leases, waits and "
            "retention use the store's time, but services may reject the app's requests."
        )
        found.append(warning("clock", text, "Restart the app, so that it gets another machine."))
    return found


async def _check_archive(services: Services) -> list[Finding]:
    with suppress(NotFound):  # not found is an answer
        await services.archive.get("examined")
    return [passed("archive", "The archive is available.")]


async def _check_queues(services: Services) -> list[Finding]:
    return await _run_checks(
        _run_check("queues", _check_queue(services, queue), queue) for queue in (*QUEUES, POISON)
    )


async def _check_queue(services: Services, queue: str) -> list[Finding]:
    await services.messages.require_sending_allowed(queue)
    waiting = await services.messages.count(queue)
    lost = await services.messages.count(queue, dead_letters=True)
    lost += waiting if queue == POISON else 0
    if lost:
        text = f"Poison and dead-lettered messages: {lost}."
        return [warning("queues", text, "Read each message and its reason.", queue)]
    return [passed("queues", f"The queue is available. Messages: {waiting}.", queue)]


async def _check_timers(services: Services) -> list[Finding]:
    if late := await count_overdue_rows(services):
        text = f"{late} rows are overdue, so the timer send_due_messages is not running."
        return [problem("timers", text, _REMEDIES["timers"])]
    last_check = await services.tables.timer_runs.get("timer", SWEEP)
    if last_check is None:
        text = "The daily check has not completed yet."
        return [warning("timers", text, "Check again a day after the deployment.")]
    ended = f"The last daily check completed at {last_check.item.completed_at:%Y-%m-%d %H:%M} UTC."
    if services.now - last_check.item.completed_at > SWEEP_IS_MISSING:
        return [problem("timers", ended, _REMEDIES["timers"])]
    return [passed("timers", ended)]


async def _check_power_platform(services: Services) -> list[Finding]:
    """Return findings about the admin API and the services of each environment in use."""
    environments = await services.environments.list()
    reading = RowReader()
    settings = await reading.list_readable(services.tables.environment_settings.scan())
    decided = {one.environment_id: one for one in settings}
    found = [passed("power_platform", f"Environments found: {len(environments)}.")]
    found += [problem("power_platform", str(row), row.fix) for row in reading.unreadable]
    return found + await _run_checks(
        _check_environment(services, one)
        for one in environments
        if _is_environment_in_use(one, decided.get(one.id))
    )


async def _check_environment(services: Services, environment: Environment) -> list[Finding]:
    name = environment.display_name
    found = await _run_check("flow_service", _check_flow_service(services, environment), name)
    if environment.dataverse_url:
        roles = check_dataverse_roles(services, environment)
        found += await _run_check("dataverse", roles, name)
    return found


def _is_environment_in_use(environment: Environment, settings: EnvironmentSettings | None) -> bool:
    is_opted_in = settings is not None and settings.approval_policy is not ApprovalPolicy.READ_ONLY
    return environment.policy is not None or is_opted_in


async def _check_flow_service(services: Services, environment: Environment) -> list[Finding]:
    await services.flow_reports.read_microsoft_key_flows(environment.id, cannot_migrate_only=True)
    return [
        passed("flow_service", "The app can read the Microsoft-key list.", environment.display_name)
    ]


async def _check_service_account(services: Services) -> list[Finding]:
    try:
        await services.flow_access.read_account_id()
    except PlatformError as err:
        text = f"The app cannot read CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET: {err}"
        fix = (
            f"{_IDENTITY}assigns Key Vault Secrets Officer on its vault. If that is not the "
            f"reason: {_REMEDIES['service_account']}"
        )
        return [problem("service_account", text, fix)]
    renewed = await services.flow_access.renew_sign_in()
    text = "The daily check renews the service account's sign-in."
    if renewed:
        unused = f"{renewed + _SIGN_IN_LASTS:%Y-%m-%d}"
        text += f" Last renewed on {renewed:%Y-%m-%d}; unused, it expires on {unused}."
    return [
        passed(
            "service_account",
            f"{text} A password change or an Entra policy can end it at any time.",
        )
    ]


async def _check_subscriptions(services: Services) -> list[Finding]:
    return await _run_checks(
        _run_check("subscriptions", check_subscription_permissions(services, one), one)
        for one in services.settings.subscription_ids
    )


async def _check_keys(services: Services) -> list[Finding]:
    number = len(await services.keys.read_policies())
    return [passed("keys", f"Enterprise policies: {number}. Check their keys: cmkflow key check.")]


async def _check_evidence_key(services: Services) -> list[Finding]:
    url = services.settings.evidence_key
    if not url:
        text = "Evidence files are not signed, and the audit log is not sealed."
        fix = "Set CMK_EVIDENCE_KEY to a key that can only sign (docs/evidence.md)."
        return [warning("evidence_key", text, fix)]
    key = await services.signing_keys.read(url)
    await services.signing_keys.sign(key, hashlib.sha256(b"doctor").digest())
    found = [passed("evidence_key", "The app can sign with the key.", key.id)]
    last = await read_last_seal(services)
    if last and services.now - last.ends_at > _SEAL_IS_MISSING:
        text = f"The audit log is sealed only up to {last.ends_at:%Y-%m-%d}."
        fix = "Check in the app's log why the daily check does not seal it."
        found.append(problem("evidence_key", text, fix, "audit log"))
    if others := key.operations - {"sign", "verify"}:
        text = f"The key can be used for more than signatures: {', '.join(sorted(others))}."
        found.append(warning("evidence_key", text, "Use a key that can only sign.", key.id))
    return found


async def _check_time_stamps(services: Services) -> list[Finding]:
    authority = services.settings.time_stamp_authority
    if not authority:
        return []
    await services.time_stamps.stamp(authority, b"doctor")
    return [passed("time_stamps", "The time stamp authority grants time stamps.", authority)]


async def _check_service_tags(services: Services) -> list[Finding]:
    tags = await services.service_tags.get_list()
    return [passed("service_tags", f"Microsoft's service tag list, version {tags.change_number}.")]


async def _check_callers(services: Services) -> list[Finding]:
    """Return findings about the caller kinds outside Power Platform."""
    checks = []
    if vault := services.settings.trigger_url_vault:
        checks.append(_run_check("callers", _check_trigger_url_vault(services, vault), vault))
    for kind in services.callers.values():
        if isinstance(kind, SearchesScopes):
            fix = kind.required_permissions.fix
            scopes = _check_scopes(kind, fix)
            checks.append(_run_check("callers", scopes, kind.kind, fix, has_parts=True))
    for kind in services.callers.values():
        if kind.required_permissions.resource_type:
            found = check_caller_kind_permissions(services, kind.kind, kind.required_permissions)
            checks.append(_run_check("callers", found, kind.kind))
    return await _run_checks(checks)


async def _check_scopes(kind: SearchesScopes, fix: str) -> list[Finding]:
    return await _run_checks(
        _run_check("callers", _check_scope(kind, scope), scope, fix)
        for scope in await kind.read_scopes()
    )


async def _check_scope(kind: SearchesScopes, scope: str) -> list[Finding]:
    await kind.require_searchable_scope(scope)
    return [passed("callers", "The app can search it.", scope)]


async def _check_trigger_url_vault(services: Services, vault: str) -> list[Finding]:
    needs = next(
        kind.required_permissions
        for kind in services.callers.values()
        if kind.required_permissions.resource_type == "Microsoft.KeyVault/vaults"
    )
    vaults = await services.assessment.resources.list(needs.resource_type, needs.api_version)
    urls = [text_at(mapping_at(one, "properties"), "vaultUri") or "" for one in vaults]
    if vault.rstrip("/").lower() in {one.rstrip("/").lower() for one in urls}:
        return [passed("callers", "The vault is in a watched subscription.", vault)]
    text = "No watched subscription has the vault in CMK_TRIGGER_URL_VAULT."
    fix = "Correct CMK_TRIGGER_URL_VAULT, or add its subscription to CMK_SUBSCRIPTION_IDS."
    return [problem("callers", text, fix, vault)]


async def _check_firewalls(services: Services) -> list[Finding]:
    return await _run_checks(
        _run_check("firewalls", _check_firewall_kind(kind), kind.kind)
        for kind in services.firewalls.values()
    )


async def _check_firewall_kind(kind: FirewallKind) -> list[Finding]:
    return [
        passed("firewalls", f"{len(await kind.read())} firewalls of this kind read.", kind.kind)
    ]


#: In the order in which a deployment is set up.
_CHECKS: Mapping[str, Callable[[Services], Awaitable[list[Finding]]]] = {
    "sign_in": _check_function_key_validation,
    "state": _check_store,
    "archive": _check_archive,
    "queues": _check_queues,
    "timers": _check_timers,
    "channels": _check_channels,
    "power_platform": _check_power_platform,
    "service_account": _check_service_account,
    "subscriptions": _check_subscriptions,
    "keys": _check_keys,
    "evidence_key": _check_evidence_key,
    "time_stamps": _check_time_stamps,
    "service_tags": _check_service_tags,
    "callers": _check_callers,
    "firewalls": _check_firewalls,
    "firewall_fixes": check_fix_permissions,
}

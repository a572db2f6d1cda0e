"""List the settings of an environment for its page, each with the actions that change it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from functions.dashboard.environment_actions import (
    POLICY_WORDS,
    format_maintenance_window,
    list_approval_policy_actions,
)
from functions.dashboard.page_actions import FormInput, PageAction, build_page_action
from functions.dashboard.solution_setting import (
    format_solution_setting,
    list_solution_setting_actions,
)
from functions.dashboard.titles import compute_natural_sort_key
from shared.domain.environment import UrlSecretUse
from shared.domain.principal import Principal
from shared.steps.flows.observed_callers import MOST_READ
from shared.use_cases.report_failed_runs import MOST_FLOWS
from shared.use_cases.show_environments import KnownEnvironment

_WINDOW = "([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]"

_URL_SECRETS = {
    UrlSecretUse.NONE: "callers hold URLs",
    UrlSecretUse.VERIFIED_CALLERS: "callers may refer to a Key Vault secret that holds the URL",
    UrlSecretUse.WITH_APP_CONFIGURATION: (
        "callers, also keys of App Configuration, may refer to a Key Vault secret that holds the "
        "URL"
    ),
}
_IN_APP_CONFIGURATION = (
    "In a plan that is made from now on, keys of App Configuration also refer to the secret. Their "
    "readers must then resolve Key Vault references and have access to the vault; the app cannot "
    "check that."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLine:
    """A setting of an environment on its page: the values, and the actions that change them."""

    title: str
    #: Each value, and whether it is an id.
    values: Sequence[tuple[str, bool]]
    actions: Sequence[PageAction] = ()


def build_setting_lines(one: KnownEnvironment, principal: Principal) -> list[SettingLine]:
    settings = one.settings
    return [
        SettingLine(
            title="The app may",
            values=[(POLICY_WORDS[settings.approval_policy].lower(), False)],
            actions=list_approval_policy_actions(one, principal),
        ),
        SettingLine(
            title="Flow limit",
            values=[(f"at most {settings.max_flows:,} in one remediation", False)],
            actions=[_build_flow_limit_action(one, principal)],
        ),
        SettingLine(
            title="Maintenance window",
            values=[(format_maintenance_window(settings) or "any time", False)],
            actions=_build_maintenance_window_actions(one, principal),
        ),
        SettingLine(
            title="Excluded flows",
            values=_list_flow_values(settings.excluded_flows, one.flow_names),
            actions=[
                _build_flow_list_action(
                    one,
                    principal,
                    "excluded_flows",
                    "Excluded flows",
                    [
                        "The app never changes or deletes an excluded flow.",
                        "If the migration of an excluded flow has started, it continues.",
                    ],
                )
            ],
        ),
        SettingLine(
            title="Pilot flows",
            values=_list_flow_values(settings.pilot_flows, one.flow_names),
            actions=[
                _build_flow_list_action(
                    one,
                    principal,
                    "pilot_flows",
                    "Pilot flows",
                    ["The other flows start after the pilot flows work."],
                )
            ],
        ),
        SettingLine(
            title="Headers of calls to originals",
            values=[("read" if settings.observe_callers else "not read", False)],
            actions=[_build_caller_observation_action(one, principal)],
        ),
        SettingLine(
            title="Failed runs",
            values=[("reported daily" if settings.report_failed_runs else "not reported", False)],
            actions=[_build_failed_runs_action(one, principal)],
        ),
        SettingLine(
            title="Notification recipients",
            values=[(one, False) for one in sorted(settings.notification_recipients)],
            actions=[_build_recipients_action(one, principal)],
        ),
        SettingLine(
            title="Solution setting for new flows",
            values=[(format_solution_setting(one.solution_setting), False)],
            actions=list_solution_setting_actions(one, principal),
        ),
        SettingLine(
            title="Ignored firewall issues",
            values=[(f"{name}: {why}", False) for name, why in settings.ignored_issues.items()],
        ),
        SettingLine(
            title="Firewalls that the app may change",
            values=[(one, True) for one in sorted(settings.writable_firewalls)],
        ),
        SettingLine(
            title="URL secrets",
            values=[(_URL_SECRETS[settings.url_secret_use], False)],
            actions=_build_url_secret_actions(one, principal),
        ),
    ]


def _list_flow_values(flows: Collection[str], names: Mapping[str, str]) -> list[tuple[str, bool]]:
    found = [(names.get(one, one), one not in names) for one in flows]
    return sorted(found, key=lambda one: compute_natural_sort_key(one[0]))


def _build_setting_change_action(
    one: KnownEnvironment,
    principal: Principal,
    title: str,
    does: Sequence[str],
    *inputs: FormInput,
    fields: tuple[tuple[str, str], ...] = (),
) -> PageAction:
    """Return the action that changes a setting of an environment. The API rejects the change if a
    setting was changed after the page was read.
    """
    return build_page_action(
        "environments/{id}/settings",
        title,
        principal,
        identity=one.environment_id,
        fields=(("seen_version", one.settings.version), *fields),
        inputs=inputs,
        does=does,
    )


def _build_url_secret_actions(one: KnownEnvironment, principal: Principal) -> list[PageAction]:
    is_wide = one.settings.has_url_secrets_in_app_configuration
    if not one.settings.has_url_secrets:
        text = (
            "A plan that is made from now on stores the URL of each flow in one Key Vault secret, "
            "if the app has a vault for it. Callers that can read the secret refer to it."
        )
        does = f"{text} {_IN_APP_CONFIGURATION}" if is_wide else text
        change = ("has_url_secrets", True)
        return [_build_url_secret_action(one, principal, "Allow URL secrets", does, change)]
    return [
        _build_url_secret_action(
            one,
            principal,
            "Write URLs instead",
            "A plan that is made from now on writes URLs into callers.",
            ("has_url_secrets", False),
        ),
        _build_url_secret_action(
            one,
            principal,
            "Write URLs in App Configuration" if is_wide else "Allow in App Configuration",
            "A plan that is made from now on writes URLs into keys of App Configuration."
            if is_wide
            else _IN_APP_CONFIGURATION,
            ("has_url_secrets_in_app_configuration", not is_wide),
        ),
    ]


def _build_url_secret_action(
    one: KnownEnvironment,
    principal: Principal,
    title: str,
    does: str,
    change: tuple[str, bool],
) -> PageAction:
    member, value = change
    return _build_setting_change_action(
        one,
        principal,
        title,
        [does, "Existing plans stay as they are."],
        fields=((f"{member}[=]", str(value).lower()),),
    )


def _build_flow_limit_action(one: KnownEnvironment, principal: Principal) -> PageAction:
    return _build_setting_change_action(
        one,
        principal,
        "Change limit",
        [
            "A plan that is made from now on migrates at most this number of flows.",
            "Existing plans stay as they are.",
        ],
        FormInput(
            name="max_flows",
            label="Flows in one remediation",
            value=str(one.settings.max_flows),
            kind="number",
            limits=(1, 10_000),
            is_required=True,
        ),
    )


def _build_maintenance_window_actions(
    one: KnownEnvironment, principal: Principal
) -> list[PageAction]:
    window = one.settings.maintenance_window
    change = _build_setting_change_action(
        one,
        principal,
        "Change window" if window else "Set window",
        [
            "The app changes flows only between these two times, every day.",
            "Flows that wait for the previous window are checked again." if window else
            "Flows in progress continue in the window.",
        ],
        FormInput(
            name="maintenance_window",
            label="Window in UTC, such as 22:00-04:00",
            value=window,
            pattern=(_WINDOW, "22:00-04:00"),
            is_required=True,
        ),
    )  # fmt: skip
    if not window:
        return [change]
    remove = _build_setting_change_action(
        one,
        principal,
        "Remove window",
        ["The app may change flows at any time.", "Flows that wait for the window continue."],
        fields=(("maintenance_window[=]", ""),),
    )
    return [change, remove]


def _build_caller_observation_action(one: KnownEnvironment, principal: Principal) -> PageAction:
    if one.settings.observe_callers:
        return _build_setting_change_action(
            one,
            principal,
            "Stop reading callers",
            [
                "The app no longer reads the headers of calls.",
                "It deletes what it has stored about callers in this environment.",
            ],
            fields=(("observe_callers[=]", "false"),),
        )
    return _build_setting_change_action(
        one,
        principal,
        "Read callers from runs",
        [
            "The app reads the headers of calls to originals whose known callers were updated.",
            (
                "This takes one request for each call, at most "
                f"{MOST_READ} for an original each time that the app checks it."
            ),
            "It stores the calling flow, Logic App, Event Grid subscription or Azure DevOps hook.",
            "Of other callers it stores the first product of the user agent and the network.",
            "It stores no body and no other header.",
        ],
        fields=(("observe_callers[=]", "true"),),
    )


def _build_failed_runs_action(one: KnownEnvironment, principal: Principal) -> PageAction:
    if one.settings.report_failed_runs:
        return _build_setting_change_action(
            one,
            principal,
            "Stop reporting failed runs",
            ["The last report is deleted."],
            fields=(("report_failed_runs[=]", "false"),),
        )
    return _build_setting_change_action(
        one,
        principal,
        "Report failed runs",
        [
            f"Under a key, the app reads the runs of {MOST_FLOWS} flows a day, in turn.",
            "Notifications name the failed ones. The app reads no inputs or outputs.",
        ],
        fields=(("report_failed_runs[=]", "true"),),
    )


def _build_recipients_action(one: KnownEnvironment, principal: Principal) -> PageAction:
    return _build_setting_change_action(
        one,
        principal,
        "Change recipients",
        [
            "Notifications about this environment name these addresses.",
            "The app sends no e-mail. The flow that receives the notifications can.",
        ],
        FormInput(
            name="notification_recipients[,]",
            label="E-mail addresses, separated by commas; empty for none",
            value=",".join(sorted(one.settings.notification_recipients)),
        ),
    )


def _build_flow_list_action(
    one: KnownEnvironment, principal: Principal, setting: str, title: str, does: Sequence[str]
) -> PageAction:
    flows: frozenset[str] = getattr(one.settings, setting)
    named = sorted((one.flow_names.get(flow, flow), flow) for flow in flows)
    return _build_setting_change_action(
        one,
        principal,
        f"Change {title.lower()}",
        [*does, *(["Flows that you untick are removed from the list."] if flows else [])],
        *(
            FormInput(name=f"{setting}[]", label=name, value=flow, kind="checkbox")
            for name, flow in named
        ),
        FormInput(name=f"{setting}[]", label="Add a flow, by name or id", is_required=not flows),
        fields=((f"{setting}[,]", ""),),
    )

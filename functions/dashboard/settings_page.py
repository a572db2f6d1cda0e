"""Build the Settings page: how the app is configured, without secrets."""

from dataclasses import dataclass
from urllib.parse import urlencode

from functions.dashboard.overview import Headline
from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.plans.pending_actions import format_count
from shared.settings import Settings
from shared.use_cases.show_settings import (
    Configuration,
    SettingStatus,
    SettingValue,
    select_settings,
)

HERE = "/api/dashboard/settings"
_STATUSES = {
    SettingStatus.PROBLEM: "with a problem",
    SettingStatus.CHANGED: "changed",
    SettingStatus.DEFAULT: "at the default",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChoice:
    """Which settings the page shows."""

    status: SettingStatus | str = ""
    search: str = ""

    @property
    def query(self) -> str:
        values = {"status": str(self.status), "search": self.search}
        return urlencode({name: value for name, value in values.items() if value})


def build_settings_page(
    view: PageContext, found: Configuration, settings: Settings, choice: SettingChoice
) -> str:
    """Return the Settings page. Without a filter, settings at the default are folded."""
    chosen = select_settings(found.settings, choice.status, choice.search)
    is_filtered = bool(choice.status or choice.search)
    counts = {one: sum(each.status is one for each in found.settings) for one in SettingStatus}
    return render_page(
        "settings",
        view,
        section="Settings",
        here=HERE,
        found=found,
        headline=_build_headline(found),
        facts=_list_deployment_facts(found, settings),
        choice=choice,
        is_filtered=is_filtered,
        total=len(found.settings),
        format_value=_format_value,
        matching=len(chosen),
        statuses=[(one, words, counts[one]) for one, words in _STATUSES.items()],
        rows=[one for one in chosen if is_filtered or one.status is not SettingStatus.DEFAULT],
        folded=[]
        if is_filtered
        else [one for one in chosen if one.status is SettingStatus.DEFAULT],
    )


def _build_headline(found: Configuration) -> Headline:
    problems = [one for one in found.settings if one.status is SettingStatus.PROBLEM]
    changed = sum(one.status is SettingStatus.CHANGED for one in found.settings)
    lead = (
        f"{changed} of {format_count(len(found.settings), 'setting')} "
        f"{'differs' if changed == 1 else 'differ'} from the default. Secrets are not shown."
    )
    if found.findings:
        lead = f"The notes below say what to check. {lead}"
    if problems:
        has = "has" if len(problems) == 1 else "have"
        text = f"{format_count(len(problems), 'setting')} {has} a problem"
        return Headline(look="person", text=text, lead=lead)
    if found.findings:
        text = f"{format_count(len(found.findings), 'point')} to check"
        return Headline(look="wait", text=text, lead=lead)
    return Headline(look="done", text="Every setting can be used", lead=lead)


def _list_deployment_facts(found: Configuration, settings: Settings) -> list[tuple[str, str]]:
    return [
        ("Tenant", settings.tenant_id),
        ("Host name", settings.website_host or "not known"),
        ("Sign-in", _describe_sign_in(settings)),
        ("State and archive", settings.storage_account or f"folder {settings.state_folder}"),
        ("Queues", settings.service_bus_namespace or "by a connection string"),
        (
            "Notifications",
            ", ".join(one.replace("_", " ") for one in found.channels) or "only in the log",
        ),
        ("Build", found.build),
    ]


def _describe_sign_in(settings: Settings) -> str:
    ways = ["App Service authentication"] if settings.has_app_service_authentication else []
    if roles := settings.function_key_roles:
        ways.append(f"function keys ({', '.join(roles)})")
    return " and ".join(ways) or "none"


def _format_value(one: SettingValue) -> str:
    if one.is_secret or one.problem:
        return "set" if one.is_set else "not set"
    return one.value or "empty"

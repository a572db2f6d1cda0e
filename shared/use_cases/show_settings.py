"""Show how the app is configured, without secrets. Reads no row and sends no request."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from shared.domain.finding import Finding, FindingLevel
from shared.domain.plans.channel_settings import SETTINGS_OF
from shared.domain.trigger_urls.trigger_url import redact
from shared.ports import UnusableChannel
from shared.services import Services
from shared.settings import Settings, find_unknown_settings, get_setting_name
from shared.use_cases.check_deployment import check_settings

_APP = Path(__file__).parents[2]
_MARK = "#: "
_SET_BY_APP_SERVICE = "WEBSITE_"


class SettingStatus(StrEnum):
    """Whether a setting has its default, another value, or a problem. The most urgent is first."""

    PROBLEM = "problem"  #: its value cannot be used
    CHANGED = "changed"  #: set to another value than the default
    DEFAULT = "default"  #: the default applies


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingValue:
    """A setting with its value in effect and its default."""

    name: str
    #: What it does.
    meaning: str
    status: SettingStatus
    #: Empty: it has none, or it is a secret.
    value: str
    default: str
    #: Whether it has a value; of a secret, this is all that is known.
    is_set: bool
    is_secret: bool
    is_required: bool
    #: App Service sets it, so `azd env set` does not.
    is_set_by_app_service: bool
    #: What is wrong with it, what applies instead, and what to do; empty: nothing is wrong.
    problem: str = ""
    used_instead: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How the app is configured."""

    #: Identifies the deployed code: a hash of its source files.
    build: str
    #: Names of the notification channels.
    channels: tuple[str, ...]
    #: Those with a problem first, then changed ones.
    settings: tuple[SettingValue, ...]
    #: What follows from the settings and needs attention.
    findings: tuple[Finding, ...]


def show_settings(services: Services) -> Configuration:
    """Return all settings with their values, and which of them need attention."""
    problems = {one.name: one for one in _list_unusable_channel_settings(services)}
    values = [
        _build_setting_value(name, field, services.settings, problems.get(get_setting_name(name)))
        for name, field in Settings.model_fields.items()
    ]
    values += [_describe_unknown_variable(name) for name in find_unknown_settings()]
    order = list(SettingStatus)
    return Configuration(
        build=compute_build_hash(),
        channels=tuple(one.name for one in services.channels),
        settings=tuple(sorted(values, key=lambda one: order.index(one.status))),
        findings=tuple(one for one in check_settings(services) if one.level is not FindingLevel.OK),
    )


def select_settings(
    settings: Iterable[SettingValue], status: SettingStatus | str, text: str
) -> list[SettingValue]:
    """Return the settings with this status whose name or meaning contains the text.

    "" selects all.
    """
    wanted = text.strip().casefold()
    return [
        one
        for one in settings
        if (not status or one.status == status)
        and (wanted in one.name.casefold() or wanted in one.meaning.casefold())
    ]


def format_default(field: FieldInfo) -> str:
    """Return the default of a setting's field, or "" if it has none."""
    return "" if field.is_required() else _format_value(field.default)


@cache
def compute_build_hash() -> str:
    """Return a hash of the app's source files, which identifies the deployed code."""
    found = sha256()
    for folder in ("functions", "shared"):
        for path in sorted((_APP / folder).rglob("*.*")):
            if path.suffix == ".pyc":
                continue
            found.update(f"{path.relative_to(_APP).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()[:12]


@cache
def read_setting_meanings() -> dict[str, str]:
    """Return the meaning of each setting: the `#:` comment above its field."""
    source = Path(inspect.getfile(Settings)).read_text()
    lines = source.splitlines()
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first = node.lineno - 1
            while lines[first - 1].strip().startswith(_MARK):
                first -= 1
            block = lines[first : node.lineno - 1]
            found[node.target.id] = " ".join(line.strip().removeprefix(_MARK) for line in block)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    name: str
    message: str
    used_instead: str
    fix: str


def _build_setting_value(
    field_name: str, field: FieldInfo, settings: Settings, problem: _Problem | None
) -> SettingValue:
    value, name = getattr(settings, field_name), get_setting_name(field_name)
    is_secret = not field.repr
    is_changed = field.is_required() or value != field.default
    status = SettingStatus.CHANGED if is_changed else SettingStatus.DEFAULT
    # A person may have entered a secret as the value of another setting.
    is_hidden = is_secret or problem is not None
    return SettingValue(
        name=name,
        meaning=read_setting_meanings()[field_name],
        status=SettingStatus.PROBLEM if problem else status,
        value="" if is_hidden else redact(_format_value(value)),
        default=format_default(field),
        is_set=value not in (None, "", ()),
        is_secret=is_secret,
        is_required=field.is_required(),
        is_set_by_app_service=name.startswith(_SET_BY_APP_SERVICE),
        problem=redact(problem.message) if problem else "",
        used_instead=problem.used_instead if problem else "",
        fix=problem.fix if problem else "",
    )


def _describe_unknown_variable(name: str) -> SettingValue:
    """Return a variable that may be a misspelled setting."""
    return SettingValue(
        name=redact(name),
        meaning="",
        status=SettingStatus.PROBLEM,
        value="",
        default="",
        is_set=True,
        is_secret=True,
        is_required=False,
        is_set_by_app_service=False,
        problem="The app has no setting of this name.",
        used_instead="It has no effect.",
        fix="Correct its name, or remove it.",
    )


def _list_unusable_channel_settings(services: Services) -> Iterator[_Problem]:
    for channel in services.channels:
        if isinstance(channel, UnusableChannel):
            names = SETTINGS_OF[channel.name]
            yield _Problem(
                name=next((one for one in names if one in channel.error.reason.split()), names[0]),
                message=channel.error.reason,
                used_instead="This channel sends no notification; the others do.",
                fix=channel.error.fix,
            )


def _format_value(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ", ".join(map(str, value))
        case StrEnum() | Path() | str() | int():
            return str(value)
        case _:
            return str(TypeAdapter(type(value)).dump_python(value, mode="json"))

"""The kinds of place that can hold a trigger URL or a flow id: one file and one line for each."""

from dataclasses import dataclass
from datetime import timedelta

from shared.callers.app_setting import AppSettingCallers
from shared.callers.canvas_app import CanvasAppCallers
from shared.callers.environment_variable import VARIABLE_STALENESS, EnvironmentVariableCallers
from shared.callers.flow import FlowCallers
from shared.callers.key_vault_secret import REFERENCE_STALENESS, KeyVaultSecretCallers
from shared.ports import (
    AppSettings,
    CallerKind,
    CanvasApps,
    Environments,
    EnvironmentVariables,
    Secrets,
    Workflows,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerPorts:
    """What the kinds need of the world."""

    environments: Environments
    workflows: Workflows
    environment_variables: EnvironmentVariables
    app_settings: AppSettings
    secrets: Secrets
    canvas_apps: CanvasApps
    #: How long an old value may still be in use after a write.
    variable_staleness: timedelta = VARIABLE_STALENESS
    secret_staleness: timedelta = REFERENCE_STALENESS


def caller_kinds(ports: CallerPorts) -> dict[str, CallerKind]:
    """Return every kind by its name."""
    kinds: tuple[CallerKind, ...] = (
        FlowCallers(ports.workflows, ports.environments),
        EnvironmentVariableCallers(
            ports.environment_variables,
            ports.workflows,
            ports.environments,
            ports.variable_staleness,
        ),
        AppSettingCallers(ports.app_settings, ports.secrets),
        KeyVaultSecretCallers(ports.secrets, ports.secret_staleness),
        CanvasAppCallers(ports.canvas_apps),
    )
    return {kind.kind: kind for kind in kinds}

"""The kinds of place that can hold a trigger URL or a flow id: one file and one line for each."""

from dataclasses import dataclass

from shared.callers.app_setting import AppSettingCallers
from shared.callers.environment_variable import EnvironmentVariableCallers
from shared.callers.flow import FlowCallers
from shared.callers.key_vault_secret import KeyVaultSecretCallers
from shared.ports import (
    AppSettings,
    CallerKind,
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


def caller_kinds(ports: CallerPorts) -> dict[str, CallerKind]:
    """Return every kind by its name."""
    kinds: tuple[CallerKind, ...] = (
        FlowCallers(ports.workflows, ports.environments),
        EnvironmentVariableCallers(
            ports.environment_variables, ports.workflows, ports.environments
        ),
        AppSettingCallers(ports.app_settings, ports.secrets),
        KeyVaultSecretCallers(ports.secrets),
    )
    return {kind.kind: kind for kind in kinds}

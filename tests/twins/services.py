"""The product's own bundle of ports, filled with twins."""

from shared.callers import CallerPorts, caller_kinds
from shared.rows import Tables
from shared.services import AssessmentPorts, Services
from shared.settings import Settings
from tests.twins.ports import Ports


def services_of(ports: Ports, *, settings: Settings | None = None) -> Services:
    """Return services on these ports: make them anew after a kill, as a new process would."""
    firewalls = (ports.network_security_groups, ports.app_service_firewalls)
    return Services(
        settings=settings or Settings(tenant_id="twins"),
        clock=ports.clock,
        tables=Tables(ports.store),
        archive=ports.archive,
        messages=ports.messages,
        environments=ports.environments,
        flow_reports=ports.flow_reports,
        flow_pages=ports.flow_pages,
        flow_access=ports.flow_access,
        flow_switch=ports.flow_switch,
        flow_placement=ports.flow_placement,
        workflows=ports.workflows,
        connection_references=ports.connection_references,
        flow_sharing=ports.flow_sharing,
        principals=ports.principals,
        solutions=ports.solutions,
        keys=ports.keys,
        service_tags=ports.service_tags,
        callers=caller_kinds(
            CallerPorts(
                environments=ports.environments,
                workflows=ports.workflows,
                environment_variables=ports.environment_variables,
                app_settings=ports.app_settings,
                secrets=ports.secrets,
                canvas_apps=ports.canvas_apps,
            )
        ),
        firewalls={kind.kind: kind for kind in firewalls},
        assessment=AssessmentPorts(
            connections=ports.connections,
            canvas_apps=ports.canvas_apps,
            machine_groups=ports.machine_groups,
            organization=ports.organization,
        ),
    )

"""Each refusal of the platform ends in a plain instruction on that flow, and a retry goes on.

The product's own services run against the tenant over TLS. It refuses for a cause wherever it can
be given one; by its fault plan where it cannot. Every scenario ends retired once the cause is gone.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.entra.directory import Directory
from shared.domain.platform_errors import REFUSALS, find_error_code
from tests.functional.wire.wire_scenario import SHORT, WireScenario, refused, retired, wire_scenario
from tests.functional.wire.wire_seed import (
    CHILD,
    COLLEAGUE,
    OPERATOR,
    TRAINEE,
    mail,
    mailing_orders,
    orders,
    tenant_seed,
)
from tests.local_cloud.tenant.tenant_world import (
    APP,
    MAKER,
)

type Step = Callable[[WireScenario], object]


def wrapped(status: str, code: str, message: str) -> dict[str, Any]:
    """Return a fault as Dataverse wraps an error of the flow service.

    See platform.md#wrapped-errors.
    """
    inner = json.dumps({"error": {"code": code, "message": message}})
    text = f'Flow client error returned with status code "{status}" and details "{inner}".'
    return {"status": 400, "code": "0x80060467", "message": text}


def fault(route: str, **answer: Any) -> Step:
    """Return a step that has a route refuse until the faults are cleared."""
    return lambda scenario: scenario.tenant.faults.add(Fault(route=route, times=None, **answer))


def on_create(status: str, code: str, message: str) -> Step:
    """Return a step that has the flow service refuse the copy."""
    return fault("dataverse.patch_workflow", **wrapped(status, code, message))


def faults_over(scenario: WireScenario) -> None:
    """Remove all faults."""
    scenario.tenant.faults.clear()


LENT_BY_THE_FLOW_SERVICE = {"shares_let_people_ask": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A cause, what the row says of it, and how an administrator takes the cause away."""

    cause: Step = lambda _: None
    seed: dict[str, Any] = field(default_factory=lambda: tenant_seed(orders()))
    #: The job's code; the instruction is that of docs/runbook.md for it.
    code: str
    #: Texts that the reason has to have, besides the flow's title.
    names: tuple[str, ...] = ()
    remedy: Step = faults_over


def licence(scenario: WireScenario) -> None:
    """Assign the trainee a licence."""
    scenario.tenant.part(Directory).principals[TRAINEE].has_premium = True


def share(scenario: WireScenario) -> None:
    """Share the connection with the app."""
    scenario.environment.connections["mail-1"].shared_with.add(APP)


def bind(scenario: WireScenario) -> None:
    """Choose a connection for the reference."""
    for row in scenario.environment.table("connectionreferences").values():
        row["connectionid"] = "mail-1"


def unbind(scenario: WireScenario) -> None:
    """Remove the connection from the reference. Flows that are on continue to run."""
    for row in scenario.environment.table("connectionreferences").values():
        row["connectionid"] = None


def exempt(scenario: WireScenario) -> None:
    """Exempt the environment from the data policy, and turn on what it suspended."""
    scenario.environment.blocked_connectors.clear()


def close_to_applications(scenario: WireScenario) -> None:
    """Close an operation to tokens without a person."""
    scenario.assumptions.delegated_only.add("flow_service.admin_list_permissions")


def open_to_applications(scenario: WireScenario) -> None:
    """Open it again."""
    scenario.assumptions.delegated_only.discard("flow_service.admin_list_permissions")


def forget_operator(scenario: WireScenario) -> None:
    """Remove the service account from the environment's users."""
    del scenario.environment.users[OPERATOR]


def add_operator(scenario: WireScenario) -> None:
    """Add the service account to the environment's users."""
    scenario.environment.users[OPERATOR] = {"azureactivedirectoryobjectid": OPERATOR}


def share_with_owner(scenario: WireScenario) -> None:
    """Share the connection with the flow's owner."""
    scenario.environment.connections["mail-1"].shared_with.add(MAKER)


def let_applications_activate(scenario: WireScenario) -> None:
    """Turn the copy on, as its owner does."""
    scenario.assumptions.applications_activate = True


CASES = {
    "the owner has no licence": Case(
        seed=tenant_seed(orders(owner=TRAINEE)),
        code="MissingAdequateQuotaPolicy",
        names=("Owner: Trainee.",),
        remedy=licence,
    ),
    "a connection is somebody else's": Case(
        seed=tenant_seed(mailing_orders(), **mail(COLLEAGUE)),
        code="ConnectionAuthorizationFailed",
        names=("Connection: mail-1 (shared_office365), of Colleague.",),
        remedy=share,
    ),
    "a connection is somebody else's, and no application turns flows on": Case(
        seed=tenant_seed(
            mailing_orders(), assumptions={"applications_activate": False}, **mail(COLLEAGUE)
        ),
        code="ConnectionAuthorizationFailed",
        names=("Connection: mail-1 (shared_office365), of Colleague.",),
        remedy=share_with_owner,
    ),
    "a connection reference is unbound": Case(
        seed=tenant_seed(mailing_orders(), **mail()),
        cause=unbind,
        code="XrmConnectionReferenceMissingConnection",
        names=("cr1_mail",),
        remedy=bind,
    ),
    "a data policy refuses the flow": Case(
        seed=tenant_seed(mailing_orders(), **mail(blockedConnectors=["shared_office365"])),
        code="DlpViolation",
        names=("shared_office365", "Tenant policy"),
        remedy=exempt,
    ),
    "a data policy suspends the flow": Case(
        seed=tenant_seed(
            mailing_orders(),
            assumptions={"data_policy_refuses_activation": False},
            **mail(blockedConnectors=["shared_office365"]),
        ),
        code="CompanyDlpViolation",
        names=("suspended",),
        remedy=exempt,
    ),
    "the owner has too many flows": Case(
        cause=on_create("Forbidden", "Unheard", "The user has reached the limit of 600 flows."),
        code="FlowCountLimitExceeded",
        names=("600",),
    ),
    "the definition is refused": Case(
        cause=on_create("BadRequest", "InvalidTemplate", "Unable to process 'Compose'."),
        code="InvalidTemplate",
        names=("Compose",),
    ),
    "the connector shape is refused": Case(
        cause=on_create(
            "BadRequest",
            "InvalidOpenApiFlow",
            "Code: WorkflowRunActionInputsMissingProperty. Property "
            "'host.connectionReferenceName' of 'Send' is missing.",
        ),
        code="WorkflowRunActionInputsMissingProperty",
        names=("'Send'",),
    ),
    "a child asks its runner for connections": Case(
        cause=on_create(
            "BadRequest",
            "ChildFlowUnsupportedForInvokerConnections",
            f"The workflow with id '{CHILD}', name Book cannot be used as a child workflow.",
        ),
        code="ChildFlowUnsupportedForInvokerConnections",
        names=("Book",),
    ),
    "a text is too long for its column": Case(
        cause=fault(
            "dataverse.patch_workflow",
            status=400,
            code="0x80044331",
            message="A validation error occurred. The length of the 'name' attribute is too long.",
        ),
        code="0x80044331",
        names=("'name'",),
    ),
    "a variable has no value": Case(
        cause=on_create(
            "BadRequest",
            "XrmEnvironmentVariableAttributeNotFound",
            "Attribute value was not found for environment variable cr1_url.",
        ),
        code="XrmEnvironmentVariableAttributeNotFound",
        names=("cr1_url",),
    ),
    "the callback URL is refused": Case(
        cause=fault(
            "flow_service.list_callback_url",
            status=400,
            code="ListCallbackUrlOperationBlocked",
            message="The list callback url operation is blocked for triggers of type 'Request'.",
        ),
        code="ListCallbackUrlOperationBlocked",
    ),
    "the trigger has no URL yet": Case(
        cause=fault(
            "flow_service.list_callback_url",
            status=400,
            code="WorkflowTriggerIsNotEnabled",
            message="The trigger 'manual' is not enabled.",
        ),
        code="WorkflowTriggerIsNotEnabled",
        names=("'manual'",),
    ),
    "an application's flow has no licence": Case(
        cause=on_create("Forbidden", "NonCompliantServicePrincipalFlow", "No Process licence."),
        code="NonCompliantServicePrincipalFlow",
    ),
    "the app turns the copy on as itself": Case(
        seed=tenant_seed(
            orders(),
            assumptions={
                "impersonation_reaches_flow_service": False,
                "applications_activate": False,
            },
        ),
        code="MissingUserDetails",
        names=("user details",),
        remedy=let_applications_activate,
    ),
    "the flow of a solution is unpublished": Case(
        cause=on_create(
            "BadRequest", "CannotStartUnpublishedSolutionFlow", "The flow is not published."
        ),
        code="CannotStartUnpublishedSolutionFlow",
    ),
    "no host knows the environment's region": Case(
        cause=fault(
            "flow_service.admin_get_flow",
            status=400,
            code="AzureResourceManagerRequestFailed",
            message='Failed: {"error":{"code":"MacroRegionDerivationFailed","message":"None."}}',
        ),
        code="MacroRegionDerivationFailed",
    ),
    "the operator has no role in Dataverse": Case(
        cause=forget_operator,
        code="InsufficientCdsPermissions",
        remedy=add_operator,
    ),
    "the operator may not be given the role": Case(
        seed=tenant_seed(orders(), assumptions=LENT_BY_THE_FLOW_SERVICE),
        cause=fault(
            "flow_service.admin_list_permissions",
            status=400,
            code="PermissionDowngradeNotAllowed",
            message="The permission cannot be downgraded.",
        ),
        code="PermissionDowngradeNotAllowed",
    ),
    "the operator may not ask for the URL": Case(
        cause=fault(
            "flow_service.list_callback_url",
            status=403,
            code="ConnectionAuthorizationFailed",
            message="The caller with object id 'a' does not have permission for connection 'b' "
            "under Api 'shared_logicflows'.",
        ),
        code="NoCoOwner",
    ),
    "the environment is closed to the app": Case(
        cause=fault(
            "flow_service.admin_get_flow",
            status=403,
            code="EnvironmentAccessDenied",
            message="Access to the environment is denied.",
        ),
        code="EnvironmentAccessDenied",
    ),
    "the app has no user in Dataverse": Case(
        cause=fault(
            "dataverse.get_workflow", status=403, code="0x80072560", message="Not a member."
        ),
        code="0x80072560",
    ),
    "the app lacks a privilege": Case(
        cause=fault(
            "dataverse.patch_workflow",
            status=403,
            code="0x80040220",
            message="Principal user is missing prvCreateWorkflow privilege.",
        ),
        code="0x80040220",
        names=("prvCreateWorkflow",),
    ),
    "an operation is closed to applications": Case(
        seed=tenant_seed(orders(), assumptions=LENT_BY_THE_FLOW_SERVICE),
        cause=close_to_applications,
        code="ApplicationTokenNotSupported",
        names=("admin_list_permissions",),
        remedy=open_to_applications,
    ),
    "the token is refused again and again": Case(
        cause=fault(
            "dataverse.patch_workflow",
            status=401,
            code="ExpiredAuthenticationToken",
            message="The access token has expired.",
        ),
        code="ExpiredAuthenticationToken",
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_refusal_is_told_on_the_flow_and_a_retry_goes_on(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The message names the flow and the item, and a retry succeeds after the fix."""
    case = CASES[name]
    caplog.set_level("DEBUG")
    async with wire_scenario(monkeypatch, tmp_path, case.seed) as scenario:
        url = scenario.url_of()
        case.cause(scenario)

        await scenario.order(run=SHORT)

        job = await refused(scenario, case.code, *case.names)
        assert await scenario.post(url) == 202
        case.remedy(scenario)
        await scenario.retry()
        await retired(scenario)
        assert scenario.secrets_seen(caplog.text, str(job)) == []


def test_each_refusal_is_played() -> None:
    """Each rejection is tested here, or in the tests of faults or of rejected saves."""
    elsewhere = {"ChildFlowNeverPublished", "UserMissingRequiredPermission", "DefinitionNotShown"}
    elsewhere |= {"0x80040203", "ConnectionReferenceNotFound"}
    played = {find_error_code(case.code).code for case in CASES.values()}

    assert played | elsewhere == {refusal.code for refusal in REFUSALS}

"""Test rejections by the platform, each of which blocks a flow until a fix and a retry."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.entra.directory import Directory
from shared.domain.platform_errors import REFUSALS, find_error_code
from tests.functional.wire.wire_scenario import (
    SHORT,
    WireScenario,
    require_blocked,
    require_retired,
    serve_wire_scenario,
)
from tests.functional.wire.wire_seed import (
    CHILD,
    COLLEAGUE,
    OPERATOR,
    TRAINEE,
    build_mail_seed,
    build_mailing_orders_seed,
    build_orders_seed,
    build_tenant_seed,
)
from tests.local_cloud.tenant.tenant_world import (
    APP,
    MAKER,
)

type Step = Callable[[WireScenario], object]


def wrap_error(status: str, code: str, message: str) -> dict[str, Any]:
    """Return the answer in which Dataverse wraps an error of the flow service.

    See platform.md#wrapped-errors.
    """
    inner = json.dumps({"error": {"code": code, "message": message}})
    text = f'Flow client error returned with status code "{status}" and details "{inner}".'
    return {"status": 400, "code": "0x80060467", "message": text}


def build_request_rejection(route: str, **answer: Any) -> Step:
    """Return a step that makes the tenant reject all requests of this route."""
    return lambda scenario: scenario.tenant.faults.add(Fault(route=route, times=None, **answer))


def build_copy_rejection(status: str, code: str, message: str) -> Step:
    """Return a step that makes the tenant reject changes of workflows with this error of the flow
    service.
    """
    return build_request_rejection("dataverse.patch_workflow", **wrap_error(status, code, message))


def clear_faults(scenario: WireScenario) -> None:
    scenario.tenant.faults.clear()


LENT_BY_THE_FLOW_SERVICE = {"shares_let_people_ask": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A rejection: what causes it, what the blocked job says, and what fixes it."""

    cause: Step = lambda _: None
    seed: dict[str, Any] = field(default_factory=lambda: build_tenant_seed(build_orders_seed()))
    #: The reason code of the job, whose fix is in docs/runbook.md.
    code: str
    #: Texts in the message of the job, besides the flow's title.
    names: tuple[str, ...] = ()
    remedy: Step = clear_faults


def assign_licence(scenario: WireScenario) -> None:
    scenario.tenant.get_part(Directory).principals[TRAINEE].has_premium = True


def share_connection(scenario: WireScenario) -> None:
    scenario.environment.connections["mail-1"].shared_with.add(APP)


def choose_connection(scenario: WireScenario) -> None:
    for row in scenario.environment.get_table("connectionreferences").values():
        row["connectionid"] = "mail-1"


def remove_connection(scenario: WireScenario) -> None:
    """Remove the connection of each connection reference. Flows that are on continue to run."""
    for row in scenario.environment.get_table("connectionreferences").values():
        row["connectionid"] = None


def remove_data_policy(scenario: WireScenario) -> None:
    scenario.environment.blocked_connectors.clear()


def reject_co_owner_lists_by_app(scenario: WireScenario) -> None:
    scenario.assumptions.delegated_only.add("flow_service.admin_list_permissions")


def accept_co_owner_lists_by_app(scenario: WireScenario) -> None:
    scenario.assumptions.delegated_only.discard("flow_service.admin_list_permissions")


def remove_service_account(scenario: WireScenario) -> None:
    del scenario.environment.users[OPERATOR]


def add_service_account(scenario: WireScenario) -> None:
    scenario.environment.users[OPERATOR] = {"azureactivedirectoryobjectid": OPERATOR}


def share_with_owner(scenario: WireScenario) -> None:
    scenario.environment.connections["mail-1"].shared_with.add(MAKER)


def permit_applications_to_activate(scenario: WireScenario) -> None:
    scenario.assumptions.applications_activate = True


CASES = {
    "the owner has no licence": Case(
        seed=build_tenant_seed(build_orders_seed(owner=TRAINEE)),
        code="MissingAdequateQuotaPolicy",
        names=("Owner: Trainee.",),
        remedy=assign_licence,
    ),
    "a connection is somebody else's": Case(
        seed=build_tenant_seed(build_mailing_orders_seed(), **build_mail_seed(COLLEAGUE)),
        code="ConnectionAuthorizationFailed",
        names=("Connection: mail-1 (shared_office365), of Colleague.",),
        remedy=share_connection,
    ),
    "a connection is somebody else's, and no application turns flows on": Case(
        seed=build_tenant_seed(
            build_mailing_orders_seed(),
            assumptions={"applications_activate": False},
            **build_mail_seed(COLLEAGUE),
        ),
        code="ConnectionAuthorizationFailed",
        names=("Connection: mail-1 (shared_office365), of Colleague.",),
        remedy=share_with_owner,
    ),
    "a connection reference is unbound": Case(
        seed=build_tenant_seed(build_mailing_orders_seed(), **build_mail_seed()),
        cause=remove_connection,
        code="XrmConnectionReferenceMissingConnection",
        names=("cr1_mail",),
        remedy=choose_connection,
    ),
    "a data policy refuses the flow": Case(
        seed=build_tenant_seed(
            build_mailing_orders_seed(), **build_mail_seed(blockedConnectors=["shared_office365"])
        ),
        code="DlpViolation",
        names=("shared_office365", "Tenant policy"),
        remedy=remove_data_policy,
    ),
    "a data policy suspends the flow": Case(
        seed=build_tenant_seed(
            build_mailing_orders_seed(),
            assumptions={"data_policy_refuses_activation": False},
            **build_mail_seed(blockedConnectors=["shared_office365"]),
        ),
        code="CompanyDlpViolation",
        names=("suspended",),
        remedy=remove_data_policy,
    ),
    "the owner has too many flows": Case(
        cause=build_copy_rejection(
            "Forbidden", "Unheard", "The user has reached the limit of 600 flows."
        ),
        code="FlowCountLimitExceeded",
        names=("600",),
    ),
    "the definition is refused": Case(
        cause=build_copy_rejection("BadRequest", "InvalidTemplate", "Unable to process 'Compose'."),
        code="InvalidTemplate",
        names=("Compose",),
    ),
    "the connector shape is refused": Case(
        cause=build_copy_rejection(
            "BadRequest",
            "InvalidOpenApiFlow",
            "Code: WorkflowRunActionInputsMissingProperty. Property "
            "'host.connectionReferenceName' of 'Send' is missing.",
        ),
        code="WorkflowRunActionInputsMissingProperty",
        names=("'Send'",),
    ),
    "a child asks its runner for connections": Case(
        cause=build_copy_rejection(
            "BadRequest",
            "ChildFlowUnsupportedForInvokerConnections",
            f"The workflow with id '{CHILD}', name Book cannot be used as a child workflow.",
        ),
        code="ChildFlowUnsupportedForInvokerConnections",
        names=("Book",),
    ),
    "a text is too long for its column": Case(
        cause=build_request_rejection(
            "dataverse.patch_workflow",
            status=400,
            code="0x80044331",
            message="A validation error occurred. The length of the 'name' attribute is too long.",
        ),
        code="0x80044331",
        names=("'name'",),
    ),
    "a variable has no value": Case(
        cause=build_copy_rejection(
            "BadRequest",
            "XrmEnvironmentVariableAttributeNotFound",
            "Attribute value was not found for environment variable cr1_url.",
        ),
        code="XrmEnvironmentVariableAttributeNotFound",
        names=("cr1_url",),
    ),
    "the callback URL is refused": Case(
        cause=build_request_rejection(
            "flow_service.list_callback_url",
            status=400,
            code="ListCallbackUrlOperationBlocked",
            message="The list callback url operation is blocked for triggers of type 'Request'.",
        ),
        code="ListCallbackUrlOperationBlocked",
    ),
    "the trigger has no URL yet": Case(
        cause=build_request_rejection(
            "flow_service.list_callback_url",
            status=400,
            code="WorkflowTriggerIsNotEnabled",
            message="The trigger 'manual' is not enabled.",
        ),
        code="WorkflowTriggerIsNotEnabled",
        names=("'manual'",),
    ),
    "an application's flow has no licence": Case(
        cause=build_copy_rejection(
            "Forbidden", "NonCompliantServicePrincipalFlow", "No Process licence."
        ),
        code="NonCompliantServicePrincipalFlow",
    ),
    "the app turns the copy on as itself": Case(
        seed=build_tenant_seed(
            build_orders_seed(),
            assumptions={
                "impersonation_reaches_flow_service": False,
                "applications_activate": False,
            },
        ),
        code="MissingUserDetails",
        names=("user details",),
        remedy=permit_applications_to_activate,
    ),
    "the flow of a solution is unpublished": Case(
        cause=build_copy_rejection(
            "BadRequest", "CannotStartUnpublishedSolutionFlow", "The flow is not published."
        ),
        code="CannotStartUnpublishedSolutionFlow",
    ),
    "no host knows the environment's region": Case(
        cause=build_request_rejection(
            "flow_service.admin_get_flow",
            status=400,
            code="AzureResourceManagerRequestFailed",
            message='Failed: {"error":{"code":"MacroRegionDerivationFailed","message":"None."}}',
        ),
        code="MacroRegionDerivationFailed",
    ),
    "the operator has no role in Dataverse": Case(
        cause=remove_service_account,
        code="InsufficientCdsPermissions",
        remedy=add_service_account,
    ),
    "the operator may not be given the role": Case(
        seed=build_tenant_seed(build_orders_seed(), assumptions=LENT_BY_THE_FLOW_SERVICE),
        cause=build_request_rejection(
            "flow_service.admin_list_permissions",
            status=400,
            code="PermissionDowngradeNotAllowed",
            message="The permission cannot be downgraded.",
        ),
        code="PermissionDowngradeNotAllowed",
    ),
    "the operator may not ask for the URL": Case(
        cause=build_request_rejection(
            "flow_service.list_callback_url",
            status=403,
            code="ConnectionAuthorizationFailed",
            message="The caller with object id 'a' does not have permission for connection 'b' "
            "under Api 'shared_logicflows'.",
        ),
        code="NoCoOwner",
    ),
    "the environment is closed to the app": Case(
        cause=build_request_rejection(
            "flow_service.admin_get_flow",
            status=403,
            code="EnvironmentAccessDenied",
            message="Access to the environment is denied.",
        ),
        code="EnvironmentAccessDenied",
    ),
    "the app has no user in Dataverse": Case(
        cause=build_request_rejection(
            "dataverse.get_workflow", status=403, code="0x80072560", message="Not a member."
        ),
        code="0x80072560",
    ),
    "the app lacks a privilege": Case(
        cause=build_request_rejection(
            "dataverse.patch_workflow",
            status=403,
            code="0x80040220",
            message="Principal user is missing prvCreateWorkflow privilege.",
        ),
        code="0x80040220",
        names=("prvCreateWorkflow",),
    ),
    "an operation is closed to applications": Case(
        seed=build_tenant_seed(build_orders_seed(), assumptions=LENT_BY_THE_FLOW_SERVICE),
        cause=reject_co_owner_lists_by_app,
        code="ApplicationTokenNotSupported",
        names=("admin_list_permissions",),
        remedy=accept_co_owner_lists_by_app,
    ),
    "the token is refused again and again": Case(
        cause=build_request_rejection(
            "dataverse.patch_workflow",
            status=401,
            code="ExpiredAuthenticationToken",
            message="The access token has expired.",
        ),
        code="ExpiredAuthenticationToken",
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_rejection_blocks_the_flow_until_the_fix_and_a_retry(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    case = CASES[name]
    caplog.set_level("DEBUG")
    async with serve_wire_scenario(monkeypatch, tmp_path, case.seed) as scenario:
        url = scenario.get_trigger_url()
        case.cause(scenario)

        await scenario.order(run=SHORT)

        job = await require_blocked(scenario, case.code, *case.names)
        assert await scenario.post(url) == 202
        case.remedy(scenario)
        await scenario.retry()
        await require_retired(scenario)
        assert scenario.find_leaked_signatures(caplog.text, str(job)) == []


def test_every_rejection_of_the_catalogue_has_a_case() -> None:
    elsewhere = {"ChildFlowNeverPublished", "UserMissingRequiredPermission", "DefinitionNotShown"}
    elsewhere |= {"0x80040203", "ConnectionReferenceNotFound"}
    elsewhere |= {"ScopeLocked", "RequestDisallowedByPolicy"}
    elsewhere |= {"0x8004a104"}  # test_lost_key_on_the_wire.py
    played = {find_error_code(case.code).code for case in CASES.values()}

    assert played | elsewhere == {refusal.code for refusal in REFUSALS}

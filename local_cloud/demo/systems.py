"""Define the demo's external systems, and where each one stores the trigger URL that it calls."""

from dataclasses import dataclass

from local_cloud.demo import customer_care, operations
from local_cloud.demo.definitions import build_url_placeholder
from local_cloud.demo.url_holders import (
    ActionGroup,
    AppSetting,
    ConfigurationKey,
    ConnectionString,
    LogicApp,
    UrlHolder,
    VaultSecret,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSystem:
    """A system outside Power Platform that calls a flow."""

    name: str
    environment: str
    flow: str
    holder: UrlHolder
    #: Whether the stored text is JSON with the URL in `url`.
    is_json: bool = False
    #: Whether it sends a token, for a trigger that only users of the tenant may call.
    has_token: bool = False
    #: Seconds between two calls.
    every: float = 1.0

    def format_held_text(self) -> str:
        """Return the text that the system stores.

        It contains the placeholder for the flow's URL.
        """
        url = build_url_placeholder(self.environment, self.flow)
        return f'{{"timeout": 30, "url": "{url}"}}' if self.is_json else url


def _build_operations_system(
    flow: str, name: str, holder: UrlHolder, **more: bool
) -> ExternalSystem:
    return ExternalSystem(name=name, environment=operations.NAME, flow=flow, holder=holder, **more)


def _build_customer_care_system(flow: str, name: str, holder: UrlHolder) -> ExternalSystem:
    return ExternalSystem(name=name, environment=customer_care.NAME, flow=flow, holder=holder)


SYSTEMS = (
    _build_operations_system("orders", "shop", AppSetting("contoso-shop", "ORDERS_URL")),
    _build_operations_system("old-host", "returns desk", AppSetting("contoso-shop", "RETURNS_URL")),
    _build_operations_system("web-shop", "web shop", AppSetting("contoso-shop", "WEB_SHOP_URL")),
    _build_operations_system("stock", "stock display", VaultSecret("stock-url")),
    _build_operations_system("invoices", "billing", AppSetting("contoso-billing", "INVOICE_HOOK")),
    _build_operations_system(
        "labels", "label printer", AppSetting("contoso-billing", "LABELS"), is_json=True
    ),
    _build_operations_system("erp", "ERP feed", AppSetting("contoso-billing", "ERP_URL")),
    _build_operations_system(
        "partners", "partner portal", AppSetting("contoso-portal", "HOOK"), has_token=True
    ),
    _build_operations_system("alerts", "monitoring", ActionGroup("contoso-alerts")),
    _build_operations_system(
        "other-connection", "mail form", AppSetting("contoso-portal", "MAIL_URL")
    ),
    _build_operations_system("pricing", "price feed", VaultSecret("pricing-url")),
    _build_operations_system("month-end", "scheduler", VaultSecret("month-end-url")),
    _build_customer_care_system("survey", "survey tool", LogicApp("contoso-survey-hub")),
    _build_customer_care_system("complaint", "complaint form", VaultSecret("complaint-url")),
    _build_customer_care_system(
        "chat", "chat widget", ConnectionString("contoso-web", "blue", "Chat")
    ),
    _build_customer_care_system("call-back", "telephony", ConfigurationKey("Phone:CallBackUrl")),
    _build_customer_care_system(
        "feedback", "feedback form", AppSetting("contoso-phone", "FEEDBACK_URL")
    ),
)

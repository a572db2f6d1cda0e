"""The external systems of the demo, and where each one stores the trigger URL that it calls."""

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
    #: The URL stands in JSON text, under `url`.
    is_json: bool = False
    #: It sends a token beside (trigger open to the tenant's users only).
    has_token: bool = False
    #: Seconds between two calls.
    every: float = 1.0

    def format_held_text(self) -> str:
        """Return the text that the system stores, with a placeholder for the URL."""
        url = build_url_placeholder(self.environment, self.flow)
        return f'{{"timeout": 30, "url": "{url}"}}' if self.is_json else url


def _operations(flow: str, name: str, holder: UrlHolder, **more: bool) -> ExternalSystem:
    return ExternalSystem(name=name, environment=operations.NAME, flow=flow, holder=holder, **more)


def _customer_care(flow: str, name: str, holder: UrlHolder) -> ExternalSystem:
    return ExternalSystem(name=name, environment=customer_care.NAME, flow=flow, holder=holder)


SYSTEMS = (
    _operations("orders", "shop", AppSetting("contoso-shop", "ORDERS_URL")),
    _operations("old-host", "returns desk", AppSetting("contoso-shop", "RETURNS_URL")),
    _operations("web-shop", "web shop", AppSetting("contoso-shop", "WEB_SHOP_URL")),
    _operations("stock", "stock display", VaultSecret("stock-url")),
    _operations("invoices", "billing", AppSetting("contoso-billing", "INVOICE_HOOK")),
    _operations("labels", "label printer", AppSetting("contoso-billing", "LABELS"), is_json=True),
    _operations("erp", "ERP feed", AppSetting("contoso-billing", "ERP_URL")),
    _operations("partners", "partner portal", AppSetting("contoso-portal", "HOOK"), has_token=True),
    _operations("alerts", "monitoring", ActionGroup("contoso-alerts")),
    _operations("other-connection", "mail form", AppSetting("contoso-portal", "MAIL_URL")),
    _operations("pricing", "price feed", VaultSecret("pricing-url")),
    _operations("month-end", "scheduler", VaultSecret("month-end-url")),
    _customer_care("survey", "survey tool", LogicApp("contoso-survey-hub")),
    _customer_care("complaint", "complaint form", VaultSecret("complaint-url")),
    _customer_care("chat", "chat widget", ConnectionString("contoso-web", "blue", "Chat")),
    _customer_care("call-back", "telephony", ConfigurationKey("Phone:CallBackUrl")),
    _customer_care("feedback", "feedback form", AppSetting("contoso-phone", "FEEDBACK_URL")),
)

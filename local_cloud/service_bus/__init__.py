"""A local Service Bus with queues, for clients that use Microsoft's SDKs."""

from local_cloud.service_bus.configuration import PRODUCT_QUEUES
from local_cloud.service_bus.local_service_bus import LocalServiceBus

__all__ = ["PRODUCT_QUEUES", "LocalServiceBus"]

"""Service Bus queues on one machine, for clients of the real SDK."""

from local_cloud.service_bus.configuration import PRODUCT_QUEUES
from local_cloud.service_bus.local_service_bus import LocalServiceBus

__all__ = ["PRODUCT_QUEUES", "LocalServiceBus"]

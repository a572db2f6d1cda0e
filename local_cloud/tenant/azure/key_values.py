"""Define the key-values that a store of App Configuration contains."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from local_cloud.tenant.azure.resources import JsonObject

STORES = "Microsoft.AppConfiguration/configurationStores"


@dataclass(slots=True, kw_only=True)
class SimulatedKeyValue:
    key: str
    #: None: no label.
    label: str | None
    value: str
    content_type: str | None
    tags: dict[str, str]
    locked: bool
    modified_at: datetime
    etag: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_json(self) -> JsonObject:
        return {
            "etag": self.etag,
            "key": self.key,
            "label": self.label,
            "content_type": self.content_type,
            "value": self.value,
            "tags": self.tags,
            "locked": self.locked,
            "last_modified": self.modified_at.isoformat(),
        }

"""Read the queues from a file in the format of the Service Bus emulator's `Config.json`.

The same file can start Microsoft's emulator in Docker. A property that this service does not
support is rejected by name, and never ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_pascal


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    #: As clients spell it; looked up without regard to case.
    name: str
    #: How long a received message belongs to its receiver.
    lock_duration: timedelta = timedelta(minutes=1)
    #: After this many failed deliveries a message goes to the dead-letter queue.
    max_delivery_count: int = 10
    #: How long a MessageId is remembered; None: duplicates are not looked for.
    duplicate_detection_window: timedelta | None = None
    #: The longest that a message lives; None: for ever.
    default_time_to_live: timedelta | None = None
    #: Whether a message that outlives its time goes to the dead-letter queue or is dropped.
    dead_letters_expired_messages: bool = False
    #: What the roles of every client allow.
    claims: frozenset[str] = frozenset({"Listen", "Send"})


#: The queues of this product.
PRODUCT_QUEUES = Path(__file__).with_name("queues.json")


class InvalidConfiguration(ValueError):
    """The configuration file is invalid, or uses an unsupported feature."""


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True)


class _QueueProperties(_Section):
    lock_duration: timedelta = Field(timedelta(minutes=1), gt=timedelta(), le=timedelta(minutes=5))
    max_delivery_count: int = Field(10, ge=1)
    default_message_time_to_live: timedelta | None = Field(None, gt=timedelta())
    dead_lettering_on_message_expiration: bool = False
    requires_duplicate_detection: bool = False
    duplicate_detection_history_time_window: timedelta = Field(
        timedelta(minutes=10), gt=timedelta(), le=timedelta(days=7)
    )
    requires_session: bool = False
    forward_to: str = ""
    forward_dead_lettered_messages_to: str = ""

    @field_validator("requires_session", "forward_to", "forward_dead_lettered_messages_to")
    @classmethod
    def _is_not_offered(cls, value: bool | str) -> bool | str:
        if value:
            raise ValueError("sessions and forwarding are not offered here")
        return value


class _Queue(_Section):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-/]{0,259}$")
    properties: _QueueProperties = _QueueProperties()

    def build_settings(self) -> QueueSettings:
        properties = self.properties
        window = properties.duplicate_detection_history_time_window
        return QueueSettings(
            name=self.name,
            lock_duration=properties.lock_duration,
            max_delivery_count=properties.max_delivery_count,
            duplicate_detection_window=window if properties.requires_duplicate_detection else None,
            default_time_to_live=properties.default_message_time_to_live,
            dead_letters_expired_messages=properties.dead_lettering_on_message_expiration,
        )


class _Namespace(_Section):
    name: str
    queues: list[_Queue] = []
    topics: list[Any] = Field([], max_length=0)


class _UserConfig(_Section):
    #: The emulator, too, has exactly one namespace.
    namespaces: list[_Namespace] = Field(min_length=1, max_length=1)
    logging: dict[str, Any] = {}


class _Configuration(_Section):
    user_config: _UserConfig


def read_configuration(path: Path) -> Sequence[QueueSettings]:
    """Read the queues of the configuration file at *path*.

    Raises `InvalidConfiguration` or `OSError`.
    """
    try:
        configuration = _Configuration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InvalidConfiguration(f"{path}: {error}") from error
    queues = [queue.build_settings() for queue in configuration.user_config.namespaces[0].queues]
    if len({queue.name.lower() for queue in queues}) != len(queues):
        raise InvalidConfiguration(f"{path}: a queue is named twice")
    return queues

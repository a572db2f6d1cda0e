from datetime import datetime

from local_cloud.service_bus.queue_messages import QueuedMessage


class MemoryJournal:
    def __init__(self) -> None:
        self.messages: dict[tuple[str, int], QueuedMessage] = {}
        self.seen: dict[tuple[str, str], datetime] = {}
        self.last_numbers: dict[str, int] = {}

    def save(self, queue: str, message: QueuedMessage) -> None:
        self.messages[queue, message.sequence_number] = message

    def remove(self, queue: str, sequence_number: int) -> None:
        self.messages.pop((queue, sequence_number), None)

    def save_message_id(self, queue: str, message_id: str, seen_at: datetime) -> None:
        self.seen[queue, message_id] = seen_at

    def remove_message_id(self, queue: str, message_id: str) -> None:
        del self.seen[queue, message_id]

    def save_last_number(self, queue: str, last_sequence_number: int) -> None:
        self.last_numbers[queue] = last_sequence_number

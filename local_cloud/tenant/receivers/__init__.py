"""Receive notifications, as an Event Grid topic, a webhook, and a channel of Teams do."""

"""Receivers of notifications: an Event Grid topic, a webhook, and a channel of Teams."""

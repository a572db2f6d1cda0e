"""Where messages to people arrive: an Event Grid topic, a webhook, a channel of Teams."""

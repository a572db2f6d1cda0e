"""From moved callers to a retired or deleted original, and back."""

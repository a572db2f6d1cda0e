"""Function keys in memory."""


class OneFunctionKey:
    """Knows one key, and counts nothing: a check costs the platform nothing."""

    KEY = "the-function-key"

    async def accepts(self, key: str) -> bool:
        """Return whether it is the key."""
        return key == self.KEY

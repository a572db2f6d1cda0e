"""Fake of the port for function keys, in memory."""


class OneFunctionKey:
    """A port that knows one key and sends no request."""

    KEY = "the-function-key"

    async def accepts(self, key: str) -> bool:
        """Return whether the key is valid."""
        return key == self.KEY

"""Fake of the port `FunctionKeys`."""


class OneFunctionKey:
    """Implements `FunctionKeys`: accepts one key, and sends no request."""

    KEY = "the-function-key"

    async def accepts(self, key: str) -> bool:
        """Return whether the key is valid."""
        return key == self.KEY

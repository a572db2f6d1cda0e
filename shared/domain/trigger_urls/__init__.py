"""Find, replace and mask trigger URLs, which are secrets, in any text."""

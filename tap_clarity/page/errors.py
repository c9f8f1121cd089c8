"""What a person at the terminal is told."""


class PageError(Exception):
    """No page; the message is one line that says why, and what to do."""

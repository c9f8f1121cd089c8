"""Errors that the command reports."""


class PageError(Exception):
    """No page can be made; the message is one line that says why, and what to do."""

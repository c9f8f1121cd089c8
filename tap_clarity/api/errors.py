"""What can go wrong between the tap and Clarity. Which failure is which: see `error_mapping`.

ClarityError                    one line: what happened, what to do
├── TransientError              is retried; carries the wait that Clarity asked for
│   ├── NotSentError            Clarity cannot have acted on it
│   └── TooManyRequestsError    429
├── AmbiguousError              Clarity may have acted on a request that must not be repeated
├── UnavailableError            retried until the retry time limit, or not worth a retry
├── CredentialsError            would fail every other call as well
│   ├── KeyRejectedError        401
│   └── OrgRejectedError        403, where any member of the organisation may read
├── AccessDeniedError           403
├── RequestRejectedError        any other 4xx
│   └── NotFoundError           404
├── MalformedResponseError      an object that nothing can be made of
├── QuotaExhaustedError         429 from a report request
├── ReportFailedError           Clarity could not build a report
└── FileError                   a report's file that cannot be downloaded or trusted
    └── BlankFileError          a file with neither rows nor a header
"""

from __future__ import annotations

MESSAGE_LENGTH = 200


class ClarityError(Exception):
    """Anything that the user has to know; its text is one line with a remedy."""


class TransientError(ClarityError):
    """A fault that passes: dropped and stalled connections, 5xx, 429, corrupt responses."""

    retry_after: float | None = None
    """Seconds to wait, if Clarity asks for a wait."""


class NotSentError(TransientError):
    pass


class TooManyRequestsError(TransientError):
    """HTTP 429. From a report request it means that the organisation's quota is used up."""


class AmbiguousError(ClarityError):
    """A request that must not be repeated failed when Clarity may have acted on it already."""


class UnavailableError(ClarityError):
    pass


class CredentialsError(ClarityError):
    """The key or the organisation is wrong, for this call and all others."""


class KeyRejectedError(CredentialsError):
    pass


class OrgRejectedError(CredentialsError):
    pass


class AccessDeniedError(ClarityError):
    pass


class RequestRejectedError(ClarityError):
    pass


class NotFoundError(RequestRejectedError):
    pass


class QuotaExhaustedError(ClarityError):
    """Clarity gives the organisation no more reports today."""


class MalformedResponseError(ClarityError):
    pass


class ReportFailedError(ClarityError):
    pass


class FileError(ClarityError):
    pass


class BlankFileError(FileError):
    """A file has neither rows nor a header: it may be empty, or not written yet."""


def one_line(text: str) -> str:
    """Fold a foreign text to one short printable line."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MESSAGE_LENGTH else line[: MESSAGE_LENGTH - 1] + "…"

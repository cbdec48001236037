"""The errors that are ours: each says what, where and how to mend it, and whether a retry can help."""


class StreamscoreError(Exception):
    """A condition we foresaw; anything else that is raised is a bug and must surface."""

    retryable = False


class InvalidInputError(StreamscoreError):
    """What was given cannot be used as it is (a file, a spec, a flag); a person mends it. CLI exit code 2."""


class RecordRefusedError(StreamscoreError):
    """One record of a stream that can never be applied; it goes to quarantine and the shard moves on.

    ``reason`` is a short stable code (``bad_json``, ``missing_field``, …); the message names the field.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ModelRefusedError(StreamscoreError):
    """A bundle that fails its check: the running model stays."""


class TransientError(StreamscoreError):
    """Throttling, time-outs, 5xx, a conflict that persists: the same call can succeed later."""

    retryable = True


class NoAnswerError(TransientError):
    """An AWS service could not be reached, or its answer did not come whole; the call may have been done."""


class ServiceError(StreamscoreError):
    """An AWS service refused a call: with what code, and with what HTTP status."""

    def __init__(self, operation: str, code: str, message: str, status: int) -> None:
        super().__init__(f"{operation}: {code}: {message}" if message else f"{operation}: {code}")
        self.code, self.status = code, status

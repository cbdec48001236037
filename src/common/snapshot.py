"""SnapStart: what must not come out of a snapshot as it went in says so here.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import os
from collections.abc import Callable, Mapping


def after_restore(renew: Callable[[], object], environ: Mapping[str, str] = os.environ) -> None:
    """Have Lambda call `renew` in every environment that it restores from a snapshot of this one.

    Does nothing where no snapshot will be taken. Lambda allows all hooks together 10 s.
    """
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    try:
        import snapshot_restore_py  # noqa: PLC0415 - Lambda's own runtime brings it; nothing else need
    except ImportError:
        return
    snapshot_restore_py.register_after_restore(renew)

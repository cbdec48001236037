"""How hard property tests try: a little in `make test`, ten thousand examples in `make test-nightly`."""

import os

from hypothesis import settings

NIGHTLY_EXAMPLES = 10_000


def register() -> None:
    """Make the profiles known to hypothesis and load the one that HYPOTHESIS_PROFILE names."""
    # No deadline: a busy machine is slow, not wrong. Fifty: nights try more, and CI has fifteen minutes.
    settings.register_profile("streamscore", deadline=None, max_examples=50)
    settings.register_profile("nightly", deadline=None, max_examples=NIGHTLY_EXAMPLES)
    settings.load_profile(_profile())


def examples(ordinary: int, cases: int = 1) -> int:
    """`max_examples` for a test that names its own number: that, or more by the nightly profile.

    Where one property is tested in so many parametrized cases, each takes its part of a night's examples.
    """
    return max(ordinary, NIGHTLY_EXAMPLES // cases) if _profile() == "nightly" else ordinary


def _profile() -> str:
    return os.environ.get("HYPOTHESIS_PROFILE", "streamscore")

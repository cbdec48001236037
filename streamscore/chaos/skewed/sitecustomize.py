"""A clock that is wrong by some seconds, another in each process; Python runs this before anything else.

On the path of functions in a chaos run only. It is wrong by what the seed and the process id give.
"""

import os
import random
import time

_most_s = float(os.environ.get("STREAMSCORE_CHAOS_SKEW_S", "0"))
_seed = f"{os.environ.get('STREAMSCORE_CHAOS_SEED')}/{os.getpid()}"
_skew_ns = round(random.Random(_seed).uniform(-_most_s, _most_s) * 1e9)  # noqa: S311 - no secret
_time_ns = time.time_ns

time.time_ns = lambda: _time_ns() + _skew_ns
time.time = lambda: (_time_ns() + _skew_ns) / 1e9

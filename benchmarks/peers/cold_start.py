"""One cold start: import the handler, answer one event, say what it answered and what CPU was used till when.

python -I -S cold_start.py HANDLER EVENT PATH…
"""

import sys
import time

handler, event, *sys.path[:0] = sys.argv[1:]

import importlib  # noqa: E402
import json  # noqa: E402


class Context:
    """As much of Lambda's context as handlers read."""

    function_name = "cold-start"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:cold-start"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self):
        """Plenty."""
        return 60_000


module, _, name = handler.rpartition(".")
with open(event) as file:  # noqa: PTH123 - pathlib would be on the bill
    asked = json.load(file)
call = getattr(importlib.import_module(module), name)
imported_s = time.process_time()
answer = call(asked, Context())
sys.stdout.write("\n" + json.dumps({"imported_s": imported_s, "answer": answer}) + "\n")

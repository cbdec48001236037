"""The text of every local stack's secret: hashes compare between runs, and a laptop has nothing to hide."""

LOG_KEY = "streamscore-local"

"""From the rows of an EVENTS file to records on the stream: events as JSON, and labels once they are known."""

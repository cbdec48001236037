"""Records that can never be applied, for the producer of a chaos run to put."""

RUBBISH = (
    b'{"not": json',
    b'{"transaction_id": "no-time", "customer_id": "C1", "terminal_id": "T1", "amount": 1}',
    b'{"transaction_id": "no-day", "event_time": "2026-02-30", "customer_id": "C1", "terminal_id": "T1"}',
    b'{"type": "label", "transaction_id": "no-word", "customer_id": "C1"}',
    b"\xf3\x89\x9a\xc2 looks aggregated",
)

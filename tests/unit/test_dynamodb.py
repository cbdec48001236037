"""Calls are cut to DynamoDB's sizes, and tried again until time is up and no longer."""

import functools

import pytest

from common.aws import RESERVE_MS, Backoff
from common.dynamodb import DynamoDB, Outcome, Statement
from common.errors import NoAnswerError, ServiceError, TransientError

THROTTLED = ServiceError("x", "ProvisionedThroughputExceededException", "", 400)
FORBIDDEN = ServiceError("x", "AccessDeniedException", "", 403)
TIMED_OUT = NoAnswerError("nobody there")


class Script:
    """Answers calls by a list of answers, an exception among them being raised; keeps what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def each(self, operation, requests, most):
        return [functools.partial(self.call, request) for request in requests]

    def call(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """A remaining time that only sleeping uses up."""

    def __init__(self, remaining_ms):
        self.left_ms = remaining_ms
        self.slept_s = []

    def sleep(self, seconds):
        self.slept_s.append(seconds)
        self.left_ms -= seconds * 1000

    def remaining_ms(self):
        return self.left_ms


def database(script, remaining_ms=60_000):
    clock = Clock(remaining_ms)
    return DynamoDB(script, backoff=Backoff(clock.sleep, lambda: 1.0)), clock


def found(*keys):
    return {"Responses": {"t": [{"pk": {"S": key}} for key in keys]}, "UnprocessedKeys": {}}


def statements(count):
    return [Statement("UPDATE", [{"S": str(n)}], 10) for n in range(count)]


def test_a_read_asks_again_for_the_keys_that_were_not_processed():
    rest = {"t": {"Keys": [{"pk": {"S": "b"}}]}}
    script = Script({"Responses": {"t": [{"pk": {"S": "a"}}]}, "UnprocessedKeys": rest}, found("b"))
    db, clock = database(script)
    items = db.batch_get("t", ["a", "b"], ["pk"], clock.remaining_ms)
    assert [item["pk"]["S"] for item in items] == ["a", "b"]
    assert script.asked[1]["RequestItems"] == rest
    assert clock.slept_s == [0.05]


def test_a_read_is_strongly_consistent_and_at_most_100_keys_a_call():
    sizes = []

    class Table(Script):
        def call(self, request):
            asked = request["RequestItems"]["t"]
            sizes.append((len(asked["Keys"]), asked["ConsistentRead"]))
            return found()

    db, clock = database(Table())
    assert db.batch_get("t", [str(n) for n in range(250)], ["pk"], clock.remaining_ms) == []
    assert sorted(sizes) == [(50, True), (100, True), (100, True)]


def test_a_read_that_is_throttled_until_time_is_up_is_a_transient_error():
    db, clock = database(Script(*[THROTTLED, TIMED_OUT] * 20), remaining_ms=RESERVE_MS + 1000)
    with pytest.raises(TransientError):
        db.batch_get("t", ["a"], ["pk"], clock.remaining_ms)
    assert clock.slept_s == [0.05, 0.1, 0.2, 0.4]


def test_even_with_no_time_left_a_call_is_tried_once():
    db, clock = database(Script(found("a")), remaining_ms=0)
    assert len(db.batch_get("t", ["a"], ["pk"], clock.remaining_ms)) == 1


def test_each_statement_has_its_own_outcome_and_only_the_throttled_are_sent_again():
    first = {
        "Responses": [
            {},
            {"Error": {"Code": "ThrottlingError"}},
            {"Error": {"Code": "ConditionalCheckFailed"}},
        ]
    }
    script = Script(first, {"Responses": [{"Error": {"Code": "DuplicateItem"}}]})
    db, clock = database(script)
    assert db.execute(statements(3), clock.remaining_ms) == [
        Outcome.OK,
        Outcome.DUPLICATE,
        Outcome.CONDITION_FAILED,
    ]
    assert [s["Parameters"] for s in script.asked[1]["Statements"]] == [[{"S": "1"}]]


def test_a_write_whose_answer_is_lost_is_sent_again():
    script = Script(TIMED_OUT, {"Responses": [{"Error": {"Code": "ConditionalCheckFailed"}}]})
    db, clock = database(script)
    assert db.execute(statements(1), clock.remaining_ms) == [Outcome.CONDITION_FAILED]


def test_writes_throttled_until_time_is_up_are_told_apart_from_those_that_were_done():
    answer = {"Responses": [{}, {"Error": {"Code": "ProvisionedThroughputExceeded"}}]}
    db, clock = database(Script(answer, *[THROTTLED] * 20), remaining_ms=RESERVE_MS + 100)
    assert db.execute(statements(2), clock.remaining_ms) == [Outcome.OK, Outcome.THROTTLED]


@pytest.mark.parametrize("answer", [FORBIDDEN, {"Responses": [{"Error": {"Code": "ValidationError"}}]}])
def test_an_error_that_no_retry_mends_surfaces(answer):
    db, clock = database(Script(answer))
    with pytest.raises((ServiceError, RuntimeError)):
        db.execute(statements(1), clock.remaining_ms)


def test_outcomes_keep_the_order_of_statements_over_many_calls_at_once():
    class Table(Script):
        def call(self, request):
            odd = [int(s["Parameters"][0]["S"]) % 2 for s in request["Statements"]]
            return {"Responses": [{"Error": {"Code": "ConditionalCheckFailed"}} if o else {} for o in odd]}

    db, clock = database(Table())
    outcomes = db.execute(statements(230), clock.remaining_ms)
    assert outcomes == [Outcome.OK, Outcome.CONDITION_FAILED] * 115

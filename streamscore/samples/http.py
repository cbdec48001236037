"""Requests of the HTTP API, payload format 2.0."""

import json
from collections.abc import Mapping

from streamscore.samples.purchases import ACCOUNT, STARTED, Json, records


def api_events() -> dict[str, Json]:
    """Requests of the HTTP API, payload format 2.0."""
    first, second = records()[:2]
    return {
        "api-predict.json": http_event("POST", "/predict", first),
        "api-batch-predict.json": http_event("POST", "/batch-predict", {"events": [first, second]}),
        "api-put-event.json": http_event("POST", "/events", second),
        "api-decision.json": http_event("GET", "/decisions/{id+}", parameters={"id": "1001"}),
        "api-health.json": http_event("GET", "/health"),
        "api-openapi.json": http_event("GET", "/openapi.json"),
    }


def http_event(
    method: str, route: str, body: Json | None = None, parameters: Mapping[str, str] | None = None
) -> Json:
    """One request as API Gateway hands it to the function."""
    path = route
    for name, value in (parameters or {}).items():
        path = path.replace("{" + name + "+}", value)
    request: Json = {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "sample.execute-api.eu-west-1.amazonaws.com"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "sample",
            "domainName": "sample.execute-api.eu-west-1.amazonaws.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "sample",
            },
            "requestId": "sample-request",
            "routeKey": f"{method} {route}",
            "stage": "$default",
            "time": f"{STARTED:%d/%b/%Y:%H:%M:%S} +0000",
            "timeEpoch": int(STARTED.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        request["body"] = json.dumps(body)
    if parameters:
        request["pathParameters"] = dict(parameters)
    return request

"""Where AWS's services are, and which dialect of its JSON protocol each speaks."""

from collections.abc import Mapping
from typing import NamedTuple

from common.errors import InvalidInputError


class Service(NamedTuple):
    """A service under its signing name, which is its host's too.

    `variable` ends the environment variable that moves it; `target` begins the operation's header.
    """

    name: str
    variable: str
    target: str = ""
    json: str = ""


_ALL = (
    Service("dynamodb", "DYNAMODB", "DynamoDB_20120810", "1.0"),
    Service("events", "EVENTBRIDGE", "AWSEvents", "1.1"),
    Service("kinesis", "KINESIS", "Kinesis_20131202", "1.1"),
    Service("monitoring", "CLOUDWATCH", "GraniteServiceVersion20100801", "1.0"),
    Service("s3", "S3"),
    Service("secretsmanager", "SECRETS_MANAGER", "secretsmanager", "1.1"),
    Service("sqs", "SQS", "AmazonSQS", "1.0"),
    Service("ssm", "SSM", "AmazonSSM", "1.1"),
    Service("states", "SFN", "AWSStepFunctions", "1.0"),
)
SERVICES = {service.name: service for service in _ALL}
_SUFFIXES = {
    "cn": "amazonaws.com.cn",
    "eu-isoe": "cloud.adc-e.uk",
    "eusc-de": "amazonaws.eu",
    "us-iso": "c2s.ic.gov",
    "us-isob": "sc2s.sgov.gov",
    "us-isof": "csp.hci.ic.gov",
}
"""Of the regions that begin like this; all others have amazonaws.com."""


def region_of(environ: Mapping[str, str]) -> str:
    """The region we run in; InvalidInputError if the environment does not say."""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise InvalidInputError("environment: AWS_REGION is not set; Lambda sets it")
    return region


def given_endpoint(service: Service, environ: Mapping[str, str]) -> str | None:
    """Where the environment says that the service is, if it does."""
    own = environ.get(f"AWS_ENDPOINT_URL_{service.variable}") or environ.get("AWS_ENDPOINT_URL")
    return own.rstrip("/") if own else None


def public_host(service: Service, region: str, environ: Mapping[str, str]) -> str:
    """AWS's own host for a service. InvalidInputError if the environment asks for another kind of host."""
    for name in ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"):
        if environ.get(name, "").lower() == "true":
            own = f"AWS_ENDPOINT_URL_{service.variable}"
            raise InvalidInputError(f"environment: {name} is not obeyed; set {own} to the endpoint you want")
    suffix = _SUFFIXES.get("-".join(region.split("-")[:-2]), "amazonaws.com")
    return f"{service.name}.{region}.{suffix}"

"""Our table of services and hosts is botocore's."""

import botocore.session
import pytest

from common.endpoints import SERVICES, given_endpoint, public_host, region_of
from common.errors import InvalidInputError

SESSION = botocore.session.get_session()
REGIONS = [
    region
    for partition in SESSION.get_available_partitions()
    for region in SESSION.get_available_regions("dynamodb", partition)
]

OTHERWISE_CALLED = {"monitoring": "cloudwatch", "states": "stepfunctions"}
"""Where botocore's name is not that of the host."""


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_what_botocore_knows_it_as(name):
    ours, theirs = SERVICES[name], SESSION.get_service_model(OTHERWISE_CALLED.get(name, name))
    assert name == theirs.endpoint_prefix == theirs.signing_name
    assert ours.variable == theirs.service_id.upper().replace(" ", "_")
    assert ours.target == theirs.metadata.get("targetPrefix", "")
    assert ours.json == theirs.metadata.get("jsonVersion", "")


@pytest.mark.filterwarnings("ignore:Fetching the endpoint_resolver")
@pytest.mark.parametrize("region", REGIONS)
def test_a_service_is_where_botocore_finds_it(region):
    resolver = SESSION.get_component("endpoint_resolver")
    partition = SESSION.get_partition_for_region(region)
    for name, service in SERVICES.items():
        theirs = resolver.construct_endpoint(name, region, partition_name=partition)
        assert theirs is None or public_host(service, region, {}) == theirs["hostname"]


def test_there_is_a_region_of_every_partition():
    assert len({SESSION.get_partition_for_region(region) for region in REGIONS}) >= 8


def test_the_environment_may_move_one_service_or_all():
    environ = {"AWS_ENDPOINT_URL": "http://all:1/", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://one"}
    assert given_endpoint(SERVICES["ssm"], environ) == "http://all:1"
    assert given_endpoint(SERVICES["secretsmanager"], environ) == "http://one"
    assert given_endpoint(SERVICES["ssm"], {}) is None


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_a_kind_of_host_that_is_not_known_is_refused_rather_than_ignored(name):
    with pytest.raises(InvalidInputError, match=f"{name}.*AWS_ENDPOINT_URL_SSM"):
        public_host(SERVICES["ssm"], "us-east-1", {name: "True"})
    assert public_host(SERVICES["ssm"], "us-east-1", {name: "false"}) == "ssm.us-east-1.amazonaws.com"


def test_a_region_there_must_be():
    assert region_of({"AWS_DEFAULT_REGION": "b"}) == "b"
    assert region_of({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}) == "a"
    with pytest.raises(InvalidInputError, match="AWS_REGION"):
        region_of({})

"""template.yaml as SAM transforms it: `sam validate` passes a misspelt event property; these tests do not."""

import json
import tomllib
from typing import Any

import pytest

from streamscore.local.overlay import DIFFERENCES, localised
from tests.unit.transformed_template import ROOT, of_type, resources, source, transformed

POLLING = {"Fn::If": ["IsPolling", True, False]}
MAPPINGS = {
    "StreamFeaturesFunctionRecords": ("StreamFeaturesFunction", 601_200),
    "ScoringFunctionRows": ("ScoringFunction", 72_000),
    "MonitorWindowsFunctionDecisions": ("MonitorWindowsFunction", 72_000),
}
FUNCTIONS = {
    "StreamFeaturesFunction": ("stream_features.handler.handler", "stream_features"),
    "ScoringFunction": ("scoring.handler.handler", "scoring"),
    "ScoringApiFunction": ("scoring.api.handler", "scoring_api"),
    "MonitorWindowsFunction": ("monitor.handler.handler", "monitor"),
    "MonitorScheduleFunction": ("monitor.schedule.handler", "monitor_schedule"),
    "RetrainFunction": ("monitor.retrain.handler", "retrain"),
}
PEOPLE = {"AnalystPolicy", "ApproverPolicy", "ErasurePolicy", "OperatorPolicy"}
ATTACHING = {  # by Lambda, with the function's role, when it is placed in a VPC
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
TABLES = ("StateTable", "DecisionsTable", "MonitorTable")


def statements() -> list[tuple[str, dict[str, Any]]]:
    """Every policy statement of every role and managed policy, both branches of a condition included."""
    found = []
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role["Policies"]:
            found += [(name, s) for s in policy["PolicyDocument"]["Statement"]]
    for name, policy in of_type("AWS::IAM::ManagedPolicy").items():
        found += [(name, s) for s in policy["PolicyDocument"]["Statement"]]
    return [(name, s["Fn::If"][1] if "Fn::If" in s else s) for name, s in found]


def actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_loses_nothing_and_keeps_the_order(name: str) -> None:
    function, age_s = MAPPINGS[name]
    mapping = dict(of_type("AWS::Lambda::EventSourceMapping")[name])
    assert mapping.pop("FunctionName") == {"Ref": function}
    assert mapping.pop("Enabled") == POLLING
    assert mapping.pop("EventSourceArn")
    assert mapping.pop("FilterCriteria", None) or name == "StreamFeaturesFunctionRecords"
    assert mapping.pop("TumblingWindowInSeconds", None) == (300 if name.startswith("Monitor") else None)
    assert mapping == {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 500,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 100,
        "MaximumRecordAgeInSeconds": age_s,
        "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["DataBucket", "Arn"]}}},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    }


def test_there_is_no_other_mapping() -> None:
    assert set(of_type("AWS::Lambda::EventSourceMapping")) == set(MAPPINGS)


@pytest.mark.parametrize("name", MAPPINGS)
def test_attempts_times_timeout_cover_an_hour(name: str) -> None:
    timeout_s = of_type("AWS::Lambda::Function")[MAPPINGS[name][0]]["Timeout"]
    assert of_type("AWS::Lambda::EventSourceMapping")[name]["MaximumRetryAttempts"] * timeout_s >= 3600


def test_only_images_with_rows_to_score_wake_the_scorer() -> None:
    filters = of_type("AWS::Lambda::EventSourceMapping")["ScoringFunctionRows"]["FilterCriteria"]["Filters"]
    assert [json.loads(f["Pattern"]) for f in filters] == [
        {
            "eventName": ["INSERT", "MODIFY"],
            "dynamodb": {"NewImage": {"out": {"B": [{"exists": True}]}}},
        }
    ]


def test_a_deployment_cannot_flip_the_mappings() -> None:
    assert source()["Parameters"]["EventSources"]["Default"] == "disabled"
    settings = (ROOT / "samconfig.toml").read_text(encoding="utf-8").splitlines()
    assert not [line for line in settings if "EventSources" in line and not line.startswith("#")]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_stage_is_deployed_with_parameters_that_exist_and_values_they_take(stage: str) -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    deploy = settings[stage]["deploy"]["parameters"]
    given = dict(one.split("=") for one in deploy["parameter_overrides"])
    assert given["Stage"] == stage
    for name, value in given.items():
        assert value in source()["Parameters"][name]["AllowedValues"]
    assert deploy["confirm_changeset"] == (stage == "prod")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_as_the_contract_says(name: str) -> None:
    handler, service = FUNCTIONS[name]
    function = of_type("AWS::Lambda::Function")[name]
    assert function["Handler"] == handler
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["x86_64"]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == service
    scores = service in {"scoring", "scoring_api"}
    assert len(function["Layers"]) == (2 if scores else 1)
    assert function["MemorySize"] == (512 if service in {"monitor_schedule", "retrain"} else 1769)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_environment_its_settings_read(name: str) -> None:
    from common.settings import Settings

    variables = of_type("AWS::Lambda::Function")[name]["Environment"]["Variables"]
    assert Settings.from_environ({key: "x" for key in variables})


def test_no_role_brings_a_policy_of_aws_with_its_wildcards() -> None:
    for role in of_type("AWS::IAM::Role").values():
        assert role.get("ManagedPolicyArns", []) in ([], [{"Ref": "FunctionBasics"}])


def test_actions_are_exact_and_never_a_scan() -> None:
    for name, statement in statements():
        for action in actions(statement):
            assert "*" not in action, (name, action)
            if name not in PEOPLE | {"TrainingJobRole"}:  # a job reads all decisions, once
                assert action not in {"dynamodb:Scan", "dynamodb:DeleteItem", "ssm:GetParametersByPath"}


def test_only_actions_without_resources_are_granted_on_everything() -> None:
    everywhere = {
        a for _, s in statements() if (s["Effect"], s["Resource"]) == ("Allow", "*") for a in actions(s)
    }
    assert everywhere == ATTACHING | {
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
        "cloudwatch:GetMetricStatistics",
        "cloudwatch:ListMetrics",
        "dynamodb:ListStreams",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcs",
        "ecr:GetAuthorizationToken",
        "states:SendTaskFailure",
        "states:SendTaskSuccess",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }


def test_pointers_are_read_by_their_three_names_and_are_no_resources() -> None:
    for _, statement in statements():
        if "ssm:GetParameters" in actions(statement):
            names = [arn["Fn::Sub"].rsplit("/", 1)[1] for arn in statement["Resource"]]
            assert names == ["champion", "challenger", "policy"]
    assert not of_type("AWS::SSM::Parameter")


def test_in_a_vpc_lambda_attaches_the_functions_and_their_code_may_not() -> None:
    by_effect = {s["Effect"]: s for _, s in statements() if set(actions(s)) == ATTACHING}
    assert set(by_effect) == {"Allow", "Deny"}
    assert "lambda:SourceFunctionArn" in by_effect["Deny"]["Condition"]["ArnLike"]
    placed = {"SubnetIds": {"Ref": "SubnetIds"}, "SecurityGroupIds": {"Ref": "SecurityGroupIds"}}
    for function in of_type("AWS::Lambda::Function").values():
        assert function["VpcConfig"] == {"Fn::If": ["IsInVpc", placed, {"Ref": "AWS::NoValue"}]}


def test_who_approves_a_model_can_move_no_pointer_and_who_operates_can_approve_none() -> None:
    by_name: dict[str, set[str]] = {name: set() for name in PEOPLE}
    for name, statement in statements():
        if name in PEOPLE:
            by_name[name] |= set(actions(statement))
    assert [name for name in sorted(PEOPLE) if "ssm:PutParameter" in by_name[name]] == ["OperatorPolicy"]
    answers = {"states:SendTaskSuccess", "states:SendTaskFailure"}
    assert answers <= by_name["ApproverPolicy"]
    assert not answers & (by_name["OperatorPolicy"] | by_name["AnalystPolicy"])


@pytest.mark.parametrize(
    "name", ["AnalystPolicy", "ApproverPolicy", "ErasurePolicy", "FunctionBasics", "OperatorPolicy"]
)
def test_a_managed_policy_fits_what_iam_takes(name: str) -> None:
    text = json.dumps(of_type("AWS::IAM::ManagedPolicy")[name]["PolicyDocument"], separators=(",", ":"))
    assert len(text) + 30 * text.count("Fn::") < 6144 * 1.3, "6,144 characters once names are filled in"


def test_a_permissions_boundary_holds_for_every_role() -> None:
    bounded = {"Fn::If": ["IsBounded", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
    for name, role in of_type("AWS::IAM::Role").items():
        assert role["PermissionsBoundary"] == bounded, name


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_encrypted_restorable_and_kept(table: str) -> None:
    resource = resources()[table]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"
    properties = resource["Properties"]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}
    assert properties["SSESpecification"]["KMSMasterKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_streams_show_what_their_readers_need() -> None:
    views = {name: t.get("StreamSpecification") for name, t in of_type("AWS::DynamoDB::Table").items()}
    assert views == {
        "StateTable": {"StreamViewType": "NEW_IMAGE"},
        "DecisionsTable": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        "MonitorTable": None,
    }


def test_logs_have_a_retention_and_the_stacks_key() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    for name, group in groups.items():
        assert group["RetentionInDays"], name
        assert group["KmsKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}, name
    used = {f["LoggingConfig"]["LogGroup"]["Ref"] for f in of_type("AWS::Lambda::Function").values()}
    assert used <= set(groups)
    assert len(used) == len(FUNCTIONS)


def test_every_asynchronous_trigger_has_somewhere_to_fail_to() -> None:
    queue = {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}
    for schedule in of_type("AWS::Scheduler::Schedule").values():
        assert schedule["Target"]["DeadLetterConfig"]["Arn"] == queue
    for config in of_type("AWS::Lambda::EventInvokeConfig").values():
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == queue
    for bus in of_type("AWS::Events::EventBus").values():
        assert bus["DeadLetterConfig"]["Arn"] == queue


def test_the_key_lets_those_publish_who_must() -> None:
    granted = {s["Sid"]: s for s in resources()["DataKey"]["Properties"]["KeyPolicy"]["Statement"]}
    alarms, bus = granted["PublishersOfAlarms"], granted["TheBusEncryptsAndPublishes"]
    assert alarms["Principal"]["Service"] == ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    assert bus["Principal"]["Service"] == "events.amazonaws.com"
    assert "Condition" not in bus, "EventBridge sends KMS neither source account nor ARN"
    for statement in (alarms, bus):
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(statement["Action"])


def test_the_http_api_asks_for_iam_on_every_route_or_for_a_token_once_an_issuer_is_named() -> None:
    api = of_type("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]
    routes = {(method, path) for path, methods in api["paths"].items() for method in methods}
    assert routes == {
        ("post", "/predict"),
        ("post", "/batch-predict"),
        ("post", "/events"),
        ("get", "/decisions/{id+}"),
        ("get", "/decisions"),
        ("get", "/health"),
        ("get", "/openapi.json"),
        ("x-amazon-apigateway-any-method", "$default"),
    }
    for methods in api["paths"].values():
        for operation in methods.values():
            assert operation["security"] == {"Fn::If": ["TakesTokens", [{"Token": []}], [{"AWS_IAM": []}]]}
            assert operation["x-amazon-apigateway-integration"], "a route of no event would answer nobody"
    chosen, by_token, by_iam = api["components"]["securitySchemes"]["Fn::If"]
    assert (chosen, set(by_token), set(by_iam)) == ("TakesTokens", {"Token"}, {"AWS_IAM"})
    assert by_iam["AWS_IAM"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert by_token["Token"]["x-amazon-apigateway-authorizer"] == {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {
            "issuer": {"Ref": "ApiTokenIssuer"},
            "audience": {"Fn::Split": [",", {"Ref": "ApiTokenAudience"}]},
        },
    }
    assert source()["Parameters"]["ApiTokenIssuer"]["Default"] == ""
    assert source()["Conditions"]["TakesTokens"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "ApiTokenIssuer"}, ""]}]
    }


def test_a_token_has_to_be_meant_for_somebody() -> None:
    rule = source()["Rules"]["TokensForSomebody"]
    assert rule["RuleCondition"] == source()["Conditions"]["TakesTokens"]
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ApiTokenAudience"}, ""]}]}


SHIFTING = [name for name in source()["Parameters"]["ApiDeployment"]["AllowedValues"] if name != "AllAtOnce"]


def test_codedeploy_has_no_part_in_a_stack_unless_callers_are_shifted() -> None:
    assert source()["Parameters"]["ApiDeployment"]["Default"] == "AllAtOnce"
    assert not [name for name, one in resources().items() if "CodeDeploy" in one["Type"]]
    for name in ("ApiDeploymentRole", "NewApiVersionFailingAlarm"):
        assert resources()[name]["Condition"] == "ShiftsApi"
    assert "UpdatePolicy" not in resources()["ScoringApiFunctionAliaslive"]
    settings = (ROOT / "samconfig.toml").read_text(encoding="utf-8")
    assert "ApiDeployment=Canary10Percent5Minutes" in settings.partition("[prod.deploy.parameters]")[2]


@pytest.mark.parametrize("how", SHIFTING)
def test_callers_of_the_api_are_shifted_and_all_go_back_when_the_new_version_fails(how: str) -> None:
    made = transformed(source(), ApiDeployment=how)["Resources"]
    group = made["ScoringApiFunctionDeploymentGroup"]["Properties"]
    name, value = group["DeploymentConfigName"]["Fn::Sub"]
    assert (name, value) == ("CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": how})
    assert group["AlarmConfiguration"] == {
        "Enabled": True,
        "Alarms": [{"Name": {"Ref": "NewApiVersionFailingAlarm"}}],
    }
    assert group["AutoRollbackConfiguration"]["Enabled"]
    assert {"DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_FAILURE"} <= {
        *group["AutoRollbackConfiguration"]["Events"]
    }
    assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["ApiDeploymentRole", "Arn"]}
    assert "CodeDeployServiceRole" not in made, "SAM's own has a policy of AWS with wildcards"
    alias = made["ScoringApiFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert alias["DeploymentGroupName"] == {"Ref": "ScoringApiFunctionDeploymentGroup"}


def test_what_takes_a_new_version_back_are_its_own_failures_and_not_those_of_the_one_before() -> None:
    made = transformed(source(), ApiDeployment="Canary10Percent5Minutes")["Resources"]
    version = made["ScoringApiFunctionAliaslive"]["Properties"]["FunctionVersion"]
    alarm = made["NewApiVersionFailingAlarm"]["Properties"]
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {
        "FunctionName": {"Ref": "ScoringApiFunction"},
        "Resource": {"Fn::Sub": "${ScoringApiFunction}:live"},
        "ExecutedVersion": version,
    }
    shortest_s = 5 * 60
    assert alarm["Period"] * alarm["EvaluationPeriods"] < shortest_s


def test_the_local_copy_differs_only_where_the_overlay_says() -> None:
    before = json.dumps(source())
    local = localised(source(), "http://127.0.0.1:1/")
    assert json.dumps(source()) == before
    assert set(source()["Resources"]) - set(local["Resources"]) == {
        "RuntimeLayer",
        "OnnxLayer",
        "HttpApi",
        "HttpApiLogs",
        "ApiFailingAlarm",
        "BacklogShrinkingAlarm",
        "DecisionsLateAlarm",
        "EventsUnreadAlarm",
        "Dashboard",
        "MonthlyBudget",
        "AnalyticsDatabase",
        "DecisionChangesTable",
        "AnalyticsWorkGroup",
        "DecisionsViewQuery",
        "AlertsByDayQuery",
        "AnalystPolicy",
        "TrainingImages",
        "TrainingImageBuild",
        "TrainingImageBuildRole",
        "TrainingImageBuildLogs",
    }
    assert set(source()["Outputs"]) - set(local["Outputs"]) == {"HttpApiUrl", "TrainingImageBuildName"}
    for function in local["Resources"].values():
        for event in function["Properties"].get("Events", {}).values():
            assert event["Properties"]["Enabled"] is False


def test_every_local_difference_has_its_reason() -> None:
    assert all(change.__doc__ for change in DIFFERENCES)


def test_the_http_api_invokes_the_alias_which_every_change_of_code_or_layers_moves() -> None:
    ((name, alias),) = of_type("AWS::Lambda::Alias").items()
    ((version, _),) = of_type("AWS::Lambda::Version").items()
    assert alias["FunctionName"] == {"Ref": "ScoringApiFunction"}
    assert alias["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}
    for methods in of_type("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]["paths"].values():
        for operation in methods.values():
            integration = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            assert f"${{{name}}}/invocations" in integration
    permissions = of_type("AWS::Lambda::Permission").values()
    of_the_api = [p for p in permissions if p["Principal"] == "apigateway.amazonaws.com"]
    assert of_the_api
    for permission in of_the_api:
        assert permission["FunctionName"] == {"Ref": name}
    assert transformed(source())["Outputs"]["ScoringApiAliasArn"] == {"Value": {"Ref": name}}


@pytest.mark.parametrize("changed", ["code", "layer", "timeout"])
def test_a_change_publishes_a_version_of_the_api(changed: str) -> None:
    template = json.loads(json.dumps(source()))
    uris = {"code": "s3://bucket/code.zip", "layer": "s3://bucket/layer.zip"}
    if changed == "timeout":
        template["Resources"]["ScoringApiFunction"]["Properties"]["Timeout"] = 28
    else:
        uris[changed] = "s3://bucket/other.zip"
    found = transformed(template, **uris)["Resources"]
    versions = {name for name, r in found.items() if r["Type"] == "AWS::Lambda::Version"}
    assert len(versions) == 1
    assert not versions & set(of_type("AWS::Lambda::Version"))


def test_the_api_starts_cold_unless_a_parameter_says_otherwise_and_never_in_two_ways() -> None:
    parameters = source()["Parameters"]
    assert parameters["ApiSnapStart"]["Default"] == "None"
    assert parameters["ApiProvisionedConcurrency"]["Default"] == 0
    assert of_type("AWS::Lambda::Function")["ScoringApiFunction"]["SnapStart"] == {
        "ApplyOn": {"Ref": "ApiSnapStart"}
    }
    (alias,) = of_type("AWS::Lambda::Alias").values()
    kept = {"ProvisionedConcurrentExecutions": {"Ref": "ApiProvisionedConcurrency"}}
    assert alias["ProvisionedConcurrencyConfig"] == {
        "Fn::If": ["KeepsApiReady", kept, {"Ref": "AWS::NoValue"}]
    }
    none_kept = {"Fn::Equals": [{"Ref": "ApiProvisionedConcurrency"}, 0]}
    assert source()["Conditions"]["KeepsApiReady"] == {"Fn::Not": [none_kept]}
    rule = source()["Rules"]["OneWayToStartWarm"]
    assert rule["RuleCondition"] == {"Fn::Not": [none_kept]}
    assert [a["Assert"] for a in rule["Assertions"]] == [{"Fn::Equals": [{"Ref": "ApiSnapStart"}, "None"]}]
    for name, function in of_type("AWS::Lambda::Function").items():
        assert ("SnapStart" in function) == (name == "ScoringApiFunction")

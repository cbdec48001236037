"""What of the template a deployment to the emulator would lose, and we read ourselves."""

from typing import Any

from streamscore.local.deploy import _disabled_mappings


def test_only_a_literal_false_disables_a_mapping() -> None:
    def function(*enabled: Any) -> dict[str, Any]:
        events = {
            f"E{i}": {"Type": "Kinesis", "Properties": {"Enabled": value}} for i, value in enumerate(enabled)
        }
        return {"Type": "AWS::Serverless::Function", "Properties": {"Events": events}}

    polling = {"Fn::If": ["IsPolling", True, False]}
    template = {
        "Resources": {
            "One": function(True, False, polling),
            "Two": function(False),
            "Plain": {"Type": "AWS::Serverless::Function", "Properties": {}},
            "Table": {"Type": "AWS::DynamoDB::Table"},
        }
    }
    assert _disabled_mappings(template) == {"OneE1", "TwoE0"}

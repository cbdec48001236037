from pathlib import Path

from streamscore.local.sam_template import sam_template
from streamscore.local.template import read_template

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ("StreamFeatures", "Scoring", "ScoringApi", "MonitorWindows", "MonitorSchedule", "Retrain")


def test_sam_local_gets_functions_and_layers_in_plain_values() -> None:
    environments = {f"{name}Function": {"STATE_TABLE": f"table of {name}"} for name in FUNCTIONS}
    made = sam_template(read_template(ROOT / "template.yaml"), Path("/build"), environments)
    assert set(made["Resources"]) == {*environments, "RuntimeLayer", "OnnxLayer"}
    assert made["Resources"]["ScoringFunction"]["Properties"] == {
        "Handler": "scoring.handler.handler",
        "Runtime": "python3.13",
        "Architectures": ["x86_64"],
        "MemorySize": 1769,
        "Timeout": 60,
        "CodeUri": "/build/ScoringFunction",
        "Layers": [{"Ref": "RuntimeLayer"}, {"Ref": "OnnxLayer"}],
        "Environment": {"Variables": {"STATE_TABLE": "table of Scoring"}},
        "Events": {},
    }
    predict = made["Resources"]["ScoringApiFunction"]["Properties"]["Events"]["Predict"]
    assert predict == {"Type": "HttpApi", "Properties": {"Method": "POST", "Path": "/predict"}}
    assert made["Resources"]["OnnxLayer"]["Properties"]["ContentUri"] == "/build/OnnxLayer"

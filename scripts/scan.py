"""Security scanners: checkov over the templates as CloudFormation gets them, pip-audit over the locks.

Checkov's suppressions, with their reasons, are in .checkov.yaml. Advisories come from the package index's own
service: what it does not answer for is counted as not audited, and fails nothing. Exits 1 when a scanner
found something.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.unit.transformed_template import source, transformed

TOOLS = Path(".tools/scan/bin").resolve()
LOCKS = ("layers/runtime/requirements.txt", "layers/onnx/requirements.txt", "locks/app.txt")


def main() -> None:
    """Run both; one line each on stdout when they are clean, what they found otherwise."""
    sys.exit(any([_templates_have_findings(), _locks_have_advisories()]))


def _templates_have_findings() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "template.json"  # checkov reads neither merged keys nor SAM's own types
        whole.write_text(json.dumps(transformed(source()), indent=1), encoding="utf-8")
        done = _run("checkov", "--config-file", ".checkov.yaml", "-f", str(whole), "deploy/ci-role.yaml")
    if done.returncode:
        sys.stdout.write(done.stdout + done.stderr)
    else:
        sys.stdout.write("scan: checkov found nothing in the templates\n")
    return done.returncode != 0


def _locks_have_advisories() -> bool:
    return any([_has_advisories(lock) for lock in LOCKS])


def _has_advisories(lock: str) -> bool:
    done = _run("pip-audit", "--disable-pip", "--require-hashes", "-f", "json", "--timeout", "10", "-r", lock)
    if not done.stdout.startswith("{"):
        sys.stdout.write(f"scan: {lock}: not audited: {_last_line(done.stderr)}\n")
        return False
    packages = json.loads(done.stdout)["dependencies"]
    asked = [
        package for package in packages if "skip_reason" not in package
    ]  # an index may know no advisories
    found = [(package, advisory) for package in asked for advisory in package["vulns"]]
    sys.stdout.write(
        f"scan: {lock}: {len(found)} advisories about {len(asked)} packages; "
        f"{len(packages) - len(asked)} not audited: the index has no advisories for them\n"
    )
    for package, advisory in found:
        mended = ", ".join(advisory["fix_versions"]) or "no version yet"
        name = f"{package['name']} {package['version']}"
        sys.stdout.write(f"scan: {lock}: {name}: {advisory['id']}, mended in {mended}\n")
    return bool(found)


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(TOOLS / tool), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own tools


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


if __name__ == "__main__":
    main()

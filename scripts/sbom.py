"""The software bill of materials of a build: CycloneDX 1.6 of what ships to Lambda, with licences.

Read from what was built, not from what was asked for: the wheels' own metadata in the layers. Written to
.aws-sam/build/sbom.cdx.json, without a date or a random number, so that one commit has one SBOM. Exits 1 at a
part whose licence is unknown or not among LICENCES.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions, version
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

BUILD = Path(".aws-sam/build").resolve()
LAYERS = ("RuntimeLayer", "OnnxLayer")
LICENCES = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "PSF-2.0", "Zlib", "CC0-1.0"}
)
"""Permissive: what a bank's lawyers let pass without a question."""
_BY_WORDS = {  # how wheels say it that know no SPDX
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Apache Software License": "Apache-2.0",
}
_IDENTIFIER = re.compile(r"[A-Za-z0-9.+-]+")


def main() -> None:
    """Write the SBOM; a line a part on stdout."""
    found = {
        distribution.name: distribution
        for layer in LAYERS
        for distribution in distributions(path=[str(BUILD / layer / "python")])
    }
    bom = Bom()
    bom.metadata.component = Component(
        name="streamscore",
        type=ComponentType.APPLICATION,
        bom_ref="streamscore",
        version=version("streamscore"),
    )
    for name, distribution in sorted(found.items()):
        expression = licence(distribution)
        wrong = [one for one in _identifiers(expression) if one not in LICENCES]
        if wrong:
            sys.exit(f"sbom: {name}: of its licence {expression!r} we do not know {', '.join(wrong)}")
        bom.components.add(_component(distribution, expression))
        sys.stdout.write(f"{name} {distribution.version}: {expression}\n")
    bom.register_dependency(bom.metadata.component, bom.components)
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    (BUILD / "sbom.cdx.json").write_text(_without_chance(text) + "\n", encoding="utf-8")


def licence(distribution: Distribution) -> str:
    """Its licence as an SPDX expression, as well as the wheel says it."""
    meta = distribution.metadata
    stated = meta.get("License-Expression") or meta.get("License", "")
    if stated and len(stated) < 100:
        return _BY_WORDS.get(stated.strip(), stated.strip())
    words = [c.rpartition(" :: ")[2] for c in meta.get_all("Classifier", []) if c.startswith("License ::")]
    return " AND ".join(_BY_WORDS.get(word, word) for word in words) or "unknown"


def _identifiers(expression: str) -> Iterator[str]:
    return (one for one in _IDENTIFIER.findall(expression) if one not in {"AND", "OR", "WITH"})


def _component(distribution: Distribution, expression: str) -> Component:
    purl = PackageURL("pypi", None, distribution.name.lower(), distribution.version)
    return Component(
        name=distribution.name,
        version=distribution.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(expression)],
    )


def _without_chance(text: str) -> str:
    """The library writes the moment and a random serial number, which CycloneDX does not ask for."""
    return re.sub(r'^ *"(timestamp|serialNumber)": "[^"]*",?\n', "", text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()

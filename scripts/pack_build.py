"""Zips what was built, so that the same input gives the same bytes wherever and whenever it is built.

`sam package` would zip by itself, in the order and with the dates the file system has; here names are sorted,
dates are DOS's first, rights are plain, and the built template points at the zips. Their SHA-256 go to
.aws-sam/build/digests.json: two builds of one commit are compared by it. The deflated bytes also depend on
zlib's version, so nothing is deflated: layers travel larger, once, and stay as they are for years.
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

BUILD = Path(".aws-sam/build").resolve()
_FIRST = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_POINTER = re.compile(r"^(\s+(?:CodeUri|ContentUri): )(\w+)$", re.MULTILINE)


def main() -> None:
    """Zip every folder the built template points at; digests on stdout and in digests.json."""
    template = BUILD / "template.yaml"
    text = template.read_text(encoding="utf-8")
    names = sorted({found[2] for found in _POINTER.finditer(text)})
    if not names:
        sys.exit(f"build: {template} points at no folder: was it zipped already? run `make build`")
    digests = {name: packed(BUILD / name, BUILD / f"{name}.zip") for name in names}
    template.write_text(_POINTER.sub(r"\1\2.zip", text), encoding="utf-8")
    (BUILD / "digests.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    for name, digest in digests.items():
        sys.stdout.write(f"{name}.zip: sha256 {digest}\n")


def packed(folder: Path, target: Path) -> str:
    """Write the folder's files to a zip; its SHA-256, which depends on names, bytes and x-bits alone."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _FIRST)
            entry.create_system = _UNIX
            entry.external_attr = (0o755 if file.stat().st_mode & 0o100 else 0o644) << 16
            made.writestr(entry, file.read_bytes())
    return hashlib.sha256(target.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()

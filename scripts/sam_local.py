"""`sam local invoke` and `sam local start-api` of what was built, against the running local stack.

    scripts/sam_local.py invoke ScoringFunction scoring-state-stream [options of sam local invoke]
    scripts/sam_local.py start-api [options of sam local start-api]

The emulator listens on 127.0.0.1 only, which a container cannot reach. While functions run, a relay on
Docker's own bridge address passes on connections of containers, and of nobody else.
"""

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from streamscore.local import stack as stacks
from streamscore.local.sam_template import environments, sam_template
from streamscore.local.template import read_template

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / ".aws-sam/build"


def main() -> None:
    """Invoke, or serve until interrupted; the exit status is sam's."""
    if platform.system() != "Linux":
        sys.exit("sam-local: needs Docker's engine on Linux (or in WSL 2): Docker Desktop hides its bridge")
    options = _options(*sys.argv[1:])
    if not (BUILD / "template.yaml").exists():
        sys.exit("sam-local: nothing is built; run `make build` first")
    stack = stacks.load(ROOT)
    emulator = urlsplit(stack.endpoint)
    with _relay(emulator.port or 80) as endpoint:
        template = _write_template(stack, endpoint)
        command = [ROOT / ".tools/sam/bin/sam", "local", *options, "--template", template]
        environment = os.environ | {"AWS_DEFAULT_REGION": stack.region, "SAM_CLI_TELEMETRY": "0"}
        with contextlib.suppress(KeyboardInterrupt):  # start-api has no other end, and sam hears it too
            done = subprocess.run(command, env=environment, check=False)  # noqa: S603 - the user's own words
            sys.exit(done.returncode)


def _options(mode: str, *rest: str) -> list[str]:
    """What sam is told, but for the template."""
    if mode == "start-api":
        return [mode, *rest]
    function, event, *options = rest
    return [mode, function, "--event", str(ROOT / f"events/{event}.json"), *options]


def _write_template(stack: stacks.Stack, endpoint: str) -> Path:
    reach = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    variables = environments(stack.outputs, stack.client("lambda"), reach)
    path = ROOT / ".local/sam/template.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    template = sam_template(read_template(BUILD / "template.yaml"), BUILD, variables)
    path.write_text(json.dumps(template, indent=2), encoding="utf-8")
    return path


@contextlib.contextmanager
def _relay(port: int) -> Iterator[str]:
    """Where containers find the emulator. By number: S3's client would put the bucket before a name."""
    gateway, subnet = _bridge()
    with socket.create_server((gateway, 0)) as server:
        threading.Thread(target=_accept, args=(server, subnet, port), daemon=True).start()
        yield f"http://{gateway}:{server.getsockname()[1]}"


def _bridge() -> tuple[str, IPv4Network]:
    """Address and network of Docker's default bridge."""
    asked = ["docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603, S607 - docker from PATH
    if done.returncode:
        sys.exit(f"sam-local: docker does not answer: {done.stderr.strip()}")
    config = json.loads(done.stdout)
    return config["Gateway"], IPv4Network(config["Subnet"])


def _accept(server: socket.socket, subnet: IPv4Network, port: int) -> None:
    with contextlib.suppress(OSError):  # the server is closed when sam is done
        while True:
            container, (address, _) = server.accept()
            if ip_address(address) not in subnet:
                container.close()
                continue
            emulator = socket.create_connection(("127.0.0.1", port))
            for ends in ((container, emulator), (emulator, container)):
                threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()

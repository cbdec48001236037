"""The log of a function has whole lines, whoever prints at the same time and however a process ends."""

import os
from pathlib import Path

from streamscore.local.function_log import FunctionLog


def test_processes_do_not_print_into_each_others_lines(tmp_path: Path) -> None:
    shown: list[bytes] = []
    log = FunctionLog(tmp_path / "f.log", shown.append)
    one, other = log.stream(), log.stream()
    os.write(one.pipe, b"be")
    os.write(other.pipe, b"between\n")
    other.close()
    os.write(one.pipe, b"gun\n\n")
    one.write("END")
    log.close()
    assert (tmp_path / "f.log").read_text().splitlines() == ["between", "begun", "", "END"]
    assert shown == [b"between\n", b"begun\n", b"\n", b"END\n"]
    assert one.name != other.name


def test_a_process_that_dies_in_the_middle_of_a_line_takes_no_other_line_along(tmp_path: Path) -> None:
    log = FunctionLog(tmp_path / "f.log", lambda _line: None)
    stream = log.stream()
    os.write(stream.pipe, b"half a li")
    for line in ("it was killed", "END"):
        stream.cut()
        stream.write(line)
    log.close()
    stream.write("too late")
    assert (tmp_path / "f.log").read_bytes() == b"half a li\nit was killed\nEND\n"

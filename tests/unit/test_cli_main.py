"""How the command ends when it is not left to end."""

from typing import NoReturn

import pytest
from polars.exceptions import PanicException

from streamscore.cli import main


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The exit code where a command raises this."""

    def raises(**_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(main.cli, "main", raises)
    with pytest.raises(SystemExit) as stopped:
        main.main()
    code: int = stopped.value.code
    return code


def test_an_interrupt_inside_polars_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    panic = PanicException("called `Result::unwrap()` on an `Err` value: PyErr { type: KeyboardInterrupt }")
    assert ending(monkeypatch, panic) == 130
    assert capsys.readouterr().err == "streamscore: interrupted\n"


def test_any_other_panic_is_a_bug_and_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PanicException):
        ending(monkeypatch, PanicException("index out of bounds"))

"""An interrupt that other people's code makes another exception of stays one; their faults stay theirs."""

import sys

import pytest

from pixelproof.export.others_code import interrupts_kept


def renamed(first: BaseException, then: BaseException, *, chained: bool):
    """What `first` became in code that answered it by `then`."""
    try:
        raise first
    except BaseException as error:
        raise then from (error if chained else None)


@pytest.mark.parametrize("then", [AttributeError("half imported"), SystemExit("training stopped")], ids=repr)
@pytest.mark.parametrize("first", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
@pytest.mark.parametrize("chained", [True, False])
def test_an_interrupt_stays_one(first: BaseException, then: BaseException, chained: bool):
    with pytest.raises(type(first)) as caught, interrupts_kept():
        renamed(first, then, chained=chained)
    assert caught.value is first


@pytest.mark.parametrize("fault", [ValueError("x"), SystemExit(1), SystemExit("no")], ids=repr)
def test_a_fault_stays_one(fault: BaseException):
    with pytest.raises(type(fault)) as caught, interrupts_kept():
        renamed(TypeError("first"), fault, chained=True)
    assert caught.value is fault


def test_an_interrupt_that_was_answered_before_is_none():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert isinstance(sys.exception(), KeyboardInterrupt)
        with pytest.raises(ValueError, match="invalid literal"), interrupts_kept(), interrupts_kept():
            int("no number")

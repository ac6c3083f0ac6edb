"""The judges of equations and claims: what they let pass, and what they do not."""

import math

import pytest

from tinygen.lessons import check

WRONG = check.Disagreement


def test_a_claim_is_compared_to_the_digits_it_shows(capsys):
    check.claim("a", 0.4984, "0.498")
    check.claim("b", 4.041e-05, "4.04e-05")
    check.claim("c", 1234.0, "1.23e3")
    check.claim("d", -15, "-15")
    assert capsys.readouterr().out.count("as said") == 4
    for value, said in ((0.4986, "0.498"), (4.05e-05, "4.04e-05"), (1236.0, "1.23e3"), (15, "-15"),
                        (math.nan, "0"), (math.inf, "1")):  # fmt: skip
        with pytest.raises(WRONG, match="said"):
            check.claim("x", value, said)


def test_a_claim_with_a_tolerance_is_relative(capsys):
    check.claim("loss", 0.0102, 0.01, tol=0.05)
    assert capsys.readouterr().out == "[loss]  0.01, said 0.01\n"
    with pytest.raises(WRONG):
        check.claim("loss", 0.0106, 0.01, tol=0.05)
    with pytest.raises(ValueError, match="give 0.01 as text, or say tol="):
        check.claim("loss", 0.01, 0.01)


def test_a_statement_must_be_true():
    check.claim("s", 3 > 2)
    with pytest.raises(WRONG, match="does not hold"):
        check.claim("s", 3 < 2)
    with pytest.raises(ValueError, match="claim 's': -1 is no statement; say what the text says"):
        check.claim("s", -1)


def test_equal_is_relative_to_the_right_side():
    check.equal("1.1", 1e-12 * (1 + 1e-12), 1e-12)
    with pytest.raises(WRONG, match="allowed"):
        check.equal("1.1", 1.1e-12, 1e-12)
    check.equal("1.1", 1e-10, 0.0)
    with pytest.raises(WRONG):
        check.equal("1.1", math.inf, 1.0)


def test_an_inequality_and_where_it_is_attained():
    check.at_most("1.2", [1.0, 2.0], 2.0, attained=(2.0, 2.0))
    for attained in ((1.9, 2.0), (1.0, math.inf), (math.nan, math.nan)):
        with pytest.raises(WRONG, match="not attained"):
            check.at_most("1.2", 1.0, 2.0, attained=attained)
    with pytest.raises(WRONG, match="larger by 1"):
        check.at_most("1.2", 3.0, 2.0)

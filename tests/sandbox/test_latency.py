from __future__ import annotations

from statistics import median

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async import _errors as errors
from tencent_liveness_async.sandbox import Latency
from tencent_liveness_async.sandbox._chance import draw

CHANCES = [number / 1000 for number in range(1000)]


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("0.3", Latency.constant(0.3)),
        (" 0.2..1.0 ", Latency.uniform(0.2, 1.0)),
        ("lognormal:0.4:0.5", Latency.lognormal(0.4, 0.5)),
        ("0", Latency()),
    ],
)
def test_text_is_read(text: str, latency: Latency) -> None:
    """Each distribution has a text form."""
    assert Latency.parse(text) == latency


@pytest.mark.parametrize("text", ["", "fast", "1..", "lognormal:1", "lognormal:1:2:3", "lognormal:a:b"])
def test_other_text_is_refused(text: str) -> None:
    """The message shows the three forms."""
    with pytest.raises(errors.ConfigurationError, match=r"lognormal:0\.4:0\.5"):
        Latency.parse(text)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "2..1", "lognormal:1:-1"])
def test_impossible_seconds_are_refused(text: str) -> None:
    """A latency is finite and not negative."""
    with pytest.raises(errors.ConfigurationError, match="not negative"):
        Latency.parse(text)


def test_constant_never_changes() -> None:
    """A constant latency does not depend on chance."""
    assert {Latency.constant(0.3).draw(chance) for chance in CHANCES} == {0.3}


def test_uniform_stays_within_its_ends() -> None:
    """A uniform latency covers its range and nothing else."""
    drawn = [Latency.uniform(1, 3).draw(chance) for chance in CHANCES]
    assert median(drawn) == pytest.approx(2, abs=0.01)
    assert min(drawn) == 1
    assert max(drawn) < 3


def test_lognormal_has_its_median_and_a_tail() -> None:
    """Half is below the median, and chance 0 is still a latency."""
    drawn = [Latency.lognormal(0.4, 0.5).draw(chance) for chance in CHANCES]
    assert median(drawn) == pytest.approx(0.4, rel=0.01)
    assert 0 < drawn[0] < 0.1
    assert drawn[-1] > 1


def test_draws_are_even_and_depend_on_seed_and_name() -> None:
    """A draw is a function of its seed and its name, spread evenly."""
    drawn = [draw(1, str(number)) for number in range(2000)]
    assert drawn == [draw(1, str(number)) for number in range(2000)]
    assert drawn != [draw(2, str(number)) for number in range(2000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert 0 <= min(drawn) <= max(drawn) < 1

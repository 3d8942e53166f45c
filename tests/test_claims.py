"""What the book says of the recorded laptop sweep, against the records: direction, size, and the spread over seeds."""

import numpy as np
import pytest

from contrastlab import records, sweep


@pytest.fixture(scope="module")
def runs():
    return records.load("laptop")


@pytest.fixture(scope="module")
def table(runs):
    def column(metric, *taus):
        known, values = records.table(runs, metric)
        return values[:, [known.index(tau) for tau in taus]]

    return column


WARM = (0.2, 0.3, 0.5, 0.7, 1.0)


def test_the_records_are_those_that_the_profile_asks_for(runs):
    """Same settings, every run, no other: `contrastlab sweep --profile laptop` finds nothing left to do."""
    wanted = {plan.record.name: sweep.as_json(plan.config) for plan in sweep.plans("laptop")}
    assert len(wanted) == 30
    assert {path.name for path in records.folder("laptop").glob("*.json")} == set(wanted)
    assert all(records.read(records.folder("laptop") / name)["config"] == config for name, config in wanted.items())


def test_at_least_eight_temperatures_with_three_seeds(runs):
    taus, values = records.table(runs, "uniformity")
    assert len(taus) >= 8 and len(values) >= 3


def test_c6_uniformity_falls_with_temperature_above_a_fifth(table):
    U = table("uniformity", *WARM)
    assert (np.diff(U, axis=1) < 0).all(), "every step, every seed"
    assert U[:, 0].min() - U[:, -1].max() > 0.5
    assert np.ptp(U, axis=0).max() < 0.15, "the spread over seeds is small beside it"


def test_c7_tolerance_rises_with_temperature_above_a_fifth(table):
    T = table("tolerance", *WARM)
    assert (np.diff(T, axis=1) > 0).all(), "every step, every seed"
    assert T[:, -1].min() - T[:, 0].max() > 0.08


def test_c9_positives_come_closer_with_temperature_above_a_fifth(table):
    assert (np.diff(table("positive_similarity", *WARM), axis=1) > 0).all()


def test_c8_does_not_show_at_this_scale(table):
    everywhere = table("positive_similarity", 0.03, 0.07, 0.2, 1.0) - table("nearest_negatives", 0.03, 0.07, 0.2, 1.0)
    assert (everywhere < 0).all(), "ten other images are nearer than the own second view"


@pytest.mark.parametrize(("metric", "peak"), [("linear_accuracy", 0.15), ("knn_accuracy", 0.1)])
def test_c10_accuracy_peaks_inside_beyond_the_seeds_spread(runs, table, metric, peak):
    taus, values = records.table(runs, metric)
    assert taus[int(values.mean(axis=0).argmax())] == peak
    assert table(metric, peak).min() > table(metric, taus[0], taus[-1]).max(), "worst at the peak, best at the ends"


def test_the_cold_end_never_spread(table):
    """Below the paper's lowest temperature: low uniformity and high tolerance, but no class gap to show for it."""
    assert table("uniformity", 0.03).max() < table("uniformity", 1.0).min()
    assert table("tolerance", 0.03).min() > table("tolerance", 1.0).max()
    assert table("class_gap", 0.03).max() < table("class_gap", 0.1).min()


def test_g3_equal_measures_and_different_accuracy(table):
    for metric, close in (("uniformity", 0.05), ("tolerance", 0.05)):
        assert abs(np.diff(table(metric, 0.07, 0.5).mean(axis=0))[0]) < close
    assert table("linear_accuracy", 0.07).min() - table("linear_accuracy", 0.5).max() > 1


def test_g7_uniformity_of_the_features_moves_the_other_way(table):
    features = table("uniformity_features", 0.2, 1.0)
    assert features[:, 0].max() < features[:, 1].min()

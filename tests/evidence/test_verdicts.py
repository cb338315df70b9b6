"""Verdicts on each kind of claim, and what they depend on."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from cnn_ablation.evidence import verdicts
from cnn_ablation.evidence.measuring import Results, list_contrasts
from cnn_ablation.evidence.noise import ImageNoise
from cnn_ablation.evidence.spending import Look
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.trials import Condition

EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2, planned_seeds=8, spending="pocock")
IMAGES = {"train": 60_000, "validation": 10_000}

LEVELS = ("low", "same", "near", "high", "top", "far")


def claim(kind: str, **fields: Any) -> Claim:
    parsed: Claim = TypeAdapter(Claim).validate_python({"text": "So it is.", "kind": kind, **fields})
    return parsed


def above(condition: str, than: str, **fields: Any) -> Claim:
    return claim("above", condition=condition, than=than, **fields)


class Study:
    """Simulates results of conditions that seeds affect alike."""

    def __init__(self, baseline: Configuration) -> None:
        self._baseline = baseline

    def condition(self, name: str, rate: float) -> Condition:
        """A condition whose settings differ from those of other rates."""
        model = self._baseline.model.model_copy(update={"dropout_rate": rate})
        return Condition(name=name, levels={}, model=model, training=self._baseline.training)

    def results(
        self,
        *claims: Claim,
        seeds: int = 8,
        spread: float = 0.05,
        **means: float,
    ) -> Results:
        """Claims are named by their places. Equal names have equal settings and results."""
        luck = np.random.default_rng(0).normal(0, 0.4, seeds)
        metrics, histories = [], []
        for name, mean in means.items():
            place = LEVELS.index(name)
            own = np.random.default_rng(place + 1)
            for seed in range(seeds):
                accuracy = mean + luck[seed] + own.normal(0, spread)
                where = {"condition": name, "seed": seed}
                metrics.append(
                    {
                        **where,
                        "status": "finished",
                        "mean_val_accuracy": accuracy,
                        "final_val_accuracy": round(accuracy, 2),
                        "generalization_gap": 1.0,
                        "epochs_to_80": 1.0 + 2 * place + (seed == place),
                        "seconds_per_epoch": (10.0 + 5 * place) * math.exp(own.normal(0, 0.01)),
                        "total_params": 1000 * (place + 1),
                    }
                )
                histories += [
                    {**where, "epoch": epoch, "val_accuracy": accuracy - 20 / epoch, "seconds": 30.0}
                    for epoch in (1, 2, 3)
                ]
        return Results(
            {str(place): each for place, each in enumerate(claims)},
            [self.condition(name, LEVELS.index(name) / 10) for name in means],
            pd.DataFrame(metrics),
            pd.DataFrame(histories),
            IMAGES,
            20,
        )


@pytest.fixture(scope="module")
def study(baseline: Configuration) -> Study:
    return Study(baseline)


def judge(
    results: Results,
    family: Collection[str] | None = None,
    looks: Mapping[str, list[Look]] | None = None,
    evidence: EvidenceParameters = EVIDENCE,
) -> list[dict[str, Any]]:
    """Rows of the table; the family is the experiment's own."""
    keys = list_contrasts(results.claims, results.conditions) if family is None else family
    tables, _ = verdicts.judge({"it": results}, keys, evidence, looks or {})
    rows: list[dict[str, Any]] = tables["it"].to_dict("records")
    decided, _ = verdicts.decide(results, keys, evidence, looks or {})
    assert list(decided.values()) == [row["verdict"] for row in rows]
    return rows


def interaction(one: str, other: str, expected: str) -> Claim:
    return claim("interaction", effect=["high", "low"], other_effect=[one, other], expected=expected)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (above("high", "low"), "supported"),
        (above("low", "high"), "contradicted"),
        (above("low", "same"), "equivalent"),
        (above("near", "low"), "equivalent"),  # significant, but smaller than what matters
        (above("near", "low", smallest_effect=0.05), "supported"),
        (claim("best", condition="high"), "supported"),
        (claim("best", condition="low"), "contradicted"),
        (claim("best", condition="low", among=["same"]), "among the best"),
        (claim("best", condition="low", among=["same", "near"]), "among the best"),
        (claim("best", condition="near", among=["same", "low"]), "supported"),
        (claim("best", condition="low", among=["near"], smallest_effect=0.05), "contradicted"),
        (claim("equivalent", conditions=["low", "same"]), "supported"),
        (claim("equivalent", conditions=["low", "same", "high"]), "contradicted"),
        (claim("trend", direction="rising"), "supported"),
        (claim("trend", direction="falling"), "contradicted"),
        (claim("trend", direction="rising", conditions=["low", "high", "same"]), "equivalent"),
        (interaction("same", "low", "larger"), "supported"),
        (interaction("high", "same", "larger"), "equivalent"),
        (interaction("high", "same", "equal"), "supported"),
        (interaction("same", "low", "equal"), "contradicted"),
        (claim("difference", condition="high", than="low", claimed=1.0), "supported"),
        (claim("difference", condition="low", than="high", claimed=-1.0), "supported"),
        (claim("difference", condition="high", than="low", claimed=1.5), "contradicted"),
        (claim("difference", condition="high", than="low", claimed=-1.0), "contradicted"),
        (
            claim("difference", condition="high", than="low", claimed=1.5, tolerance=0.8),
            "supported",
        ),
        (claim("at_most", condition="low", bound=92), "supported"),
        (claim("at_most", condition="low", bound=90), "contradicted"),
        (claim("at_most", condition="high", than="low", bound=1.2), "supported"),
        (claim("at_most", condition="high", than="low", bound=0.8), "contradicted"),
        (claim("at_most", condition="low", than="high", bound=0.0), "supported"),
        (claim("at_most", condition="high", relative_to="low", bound=1.02), "supported"),
        (claim("at_most", condition="high", relative_to="low", bound=1.001), "contradicted"),
        (claim("at_least", condition="low", bound=90), "supported"),
        (claim("at_least", condition="low", bound=92), "contradicted"),
        (claim("at_least", condition="high", than="low", bound=0.8), "supported"),
        (claim("at_least", condition="high", than="low", bound=1.2), "contradicted"),
        (claim("at_least", condition="low", metric="total_params", bound=1000), "supported"),
        (claim("at_least", condition="low", metric="total_params", bound=1001), "contradicted"),
        (claim("at_most", condition="low", metric="total_params", bound=1000), "supported"),
        (claim("at_most", condition="low", metric="total_params", bound=999), "contradicted"),
        (claim("value", condition="low", metric="total_params", value=1000, tolerance=1), "supported"),
        (claim("value", condition="low", metric="total_params", value=900, tolerance=1), "contradicted"),
        (claim("value", condition="low", value=93, tolerance=0.2), "contradicted"),
        (claim("value", condition="low", value=91, tolerance=1.0), "supported"),
        (claim("reaches", condition="low", accuracy=80, within=2), "supported"),
        (claim("reaches", condition="low", accuracy=80, within=1), "contradicted"),
        (above("high", "low", metric="epochs_to_80", smallest_effect=0.5), "supported"),
    ],
)
def test_verdict_on_each_kind_of_claim(study: Study, one: Claim, expected: str) -> None:
    results = study.results(one, spread=0.03, low=91.0, same=91.0, near=91.1, high=92.0)
    assert judge(results)[0]["verdict"] == expected


def seconds(kind: str, **fields: Any) -> Claim:
    return claim(kind, metric="seconds_per_epoch", relative=True, **fields)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        # 15 s are 50 % more than 10 s, and 10 s are 33 % less than 15 s.
        (
            seconds("difference", condition="same", than="low", claimed=50, smallest_effect=5),
            "supported",
        ),
        (
            seconds("difference", condition="low", than="same", claimed=-33, smallest_effect=3),
            "supported",
        ),
        (
            seconds("difference", condition="low", than="same", claimed=-50, smallest_effect=5),
            "contradicted",
        ),
        (seconds("above", condition="same", than="low", smallest_effect=30), "supported"),
        (seconds("above", condition="same", than="low", smallest_effect=60), "equivalent"),
        (seconds("above", condition="low", than="same", smallest_effect=30), "contradicted"),
        (seconds("equivalent", conditions=["low", "same"], smallest_effect=60), "supported"),
        (seconds("equivalent", conditions=["low", "same"], smallest_effect=40), "contradicted"),
        (seconds("equivalent", conditions=["low", "same"], smallest_effect=150), "supported"),
    ],
)
def test_relative_claims_are_in_percent(study: Study, one: Claim, expected: str) -> None:
    (row,) = judge(study.results(one, low=91.0, same=91.0))
    assert row["verdict"] == expected
    assert row["unit"] == "%"
    assert abs(row["estimate"]) == pytest.approx(50 if row["estimate"] > 0 else 33.3, abs=1.5)
    assert row["low"] < row["estimate"] < row["high"]


@pytest.mark.parametrize("margin", [20, 35, 45, 55])
def test_the_order_of_conditions_does_not_change_whether_a_ratio_is_negligible(
    study: Study, margin: float
) -> None:
    rows = judge(
        study.results(
            seconds("equivalent", conditions=["low", "same"], smallest_effect=margin),
            seconds("equivalent", conditions=["same", "low"], smallest_effect=margin),
            seconds("above", condition="low", than="same", smallest_effect=margin),
            seconds("above", condition="same", than="low", smallest_effect=margin),
            low=91.0,
            same=91.0,
        )
    )
    one, other, fall, rise = (row["verdict"] for row in rows)
    assert one == other == ("supported" if margin == 55 else "contradicted")
    assert (fall == "equivalent") == (rise == "equivalent") == (margin == 55)


def test_the_p_value_and_the_level_say_what_the_verdict_says(study: Study) -> None:
    claims = [
        *(above("high", "low"), above("near", "low"), above("low", "high"), above("same", "low")),
        claim("best", condition="near"),
        claim("difference", condition="high", than="low", claimed=0.9, tolerance=0.15),
        claim("at_most", condition="high", than="low", bound=1.0),
        claim("at_most", condition="low", metric="total_params", bound=1000),
        seconds("above", condition="same", than="low", smallest_effect=40),
    ]
    for spread in (0.02, 0.1, 0.3):
        for row in judge(
            study.results(*claims, spread=spread, low=91.0, same=91.0, near=91.1, high=92.0)
        ):
            assert (row["p_value"] < row["level"]) == (row["verdict"] != "undecided"), row


def test_the_same_contrast_has_the_same_verdict_in_two_experiments(study: Study) -> None:
    first = study.results(above("high", "low"), spread=0.4, low=91.0, high=91.1)
    second = study.results(
        claim("at_most", condition="low", than="high", bound=0.0),
        *(claim("best", condition="high", among=["low"]), above("top", "low")),
        spread=0.4,
        low=91.0,
        high=91.1,
        top=93.0,
    )
    family = {
        key for results in (first, second) for key in list_contrasts(results.claims, results.conditions)
    }
    assert len(family) == 2
    tables, looks = verdicts.judge({"first": first, "second": second}, family, EVIDENCE, {})
    above_low, at_most, best, _ = pd.concat(tables.values()).to_dict("records")
    assert (above_low["deciding_low"], above_low["deciding_high"]) == (
        best["deciding_low"],
        best["deciding_high"],
    )
    assert above_low["deciding_low"] == pytest.approx(-at_most["deciding_high"])
    assert above_low["verdict"] == best["verdict"] == at_most["verdict"] == "undecided"
    assert set(looks) == family
    assert all(len(taken) == 1 for taken in looks.values())


def test_the_family_has_each_contrast_once_and_no_exact_metric(study: Study) -> None:
    results = study.results(
        *(above("high", "low"), above("low", "high"), above("high", "low", claimed=1.0)),
        claim("value", condition="low", metric="total_params", value=1000, tolerance=1),
        above("high", "low", metric="total_params", smallest_effect=1),
        claim("equivalent", conditions=["low", "same", "high"]),
        low=91.0,
        same=91.0,
        high=92.0,
    )
    assert len(list_contrasts(results.claims, results.conditions)) == 3


def test_an_unrelated_experiment_changes_the_level_alone(study: Study) -> None:
    one = study.results(above("high", "low"), spread=0.1, low=91.0, high=91.6)
    other = study.results(above("top", "far"), low=91.0, high=91.0, top=93.0, far=91.0)
    own = list_contrasts(one.claims, one.conditions)
    both = [*own, *list_contrasts(other.claims, other.conditions)]
    (alone,) = judge(one, own)
    (listed,) = judge(one, both)
    tables, _ = verdicts.judge({"one": one, "other": other}, both, EVIDENCE, {})
    (together,) = tables["one"].to_dict("records")
    assert alone["level"] == pytest.approx(0.05)
    assert listed["level"] == together["level"] == pytest.approx(0.025)
    same = ("estimate", "low", "high", "p_value", "seeds", "looks")
    assert [alone[name] for name in same] == [listed[name] for name in same]
    assert [alone[name] for name in same] == [together[name] for name in same]


def test_more_contrasts_need_more_evidence(study: Study) -> None:
    results = study.results(above("high", "low"), seeds=4, spread=0.1, low=91.0, high=91.6)
    family = list_contrasts(results.claims, results.conditions)
    evidence = EVIDENCE.model_copy(update={"planned_seeds": 4})
    assert judge(results, family, evidence=evidence)[0]["verdict"] == "supported"
    larger = [*family, *map(str, range(50))]
    assert judge(results, larger, evidence=evidence)[0]["verdict"] == "undecided"


def first_seeds(results: Results, seeds: Collection[int]) -> Results:
    return results._replace(
        trial_metrics=results.trial_metrics[results.trial_metrics["seed"].isin(seeds)],
        histories=results.histories[results.histories["seed"].isin(seeds)],
    )


def test_each_look_spends_and_a_repeated_one_is_free(study: Study) -> None:
    results = study.results(above("high", "low"), spread=0.3, low=91.0, high=91.2)
    family = list_contrasts(results.claims, results.conditions)
    looks: dict[str, list[Look]] = {}
    found = []
    for count in (3, 5, 5, 8, 3):
        part = first_seeds(results, range(count))
        tables, looks = verdicts.judge({"it": part}, family, EVIDENCE, looks)
        (row,) = tables["it"].to_dict("records")
        found.append((row["looks"], row["level"]))
    assert [number for number, _ in found] == [1, 2, 2, 3, 1]
    levels = [level for _, level in found]
    assert levels[1] == levels[2]
    assert levels[0] == levels[4]
    assert 0 < levels[1] < 0.05
    assert levels[3] < 0.05
    before, _ = verdicts.decide(results, family, EVIDENCE, {})
    assert before == {"0": "undecided"}


def test_other_seeds_than_those_looked_at_decide_nothing(study: Study) -> None:
    results = study.results(above("high", "low"), low=91.0, high=93.0)
    family = list_contrasts(results.claims, results.conditions)
    _, looks = verdicts.judge({"it": first_seeds(results, range(4))}, family, EVIDENCE, {})
    (row,) = judge(first_seeds(results, [4, 5, 6, 7]), family, looks)
    assert row["verdict"] == "undecided"
    assert row["level"] == 0
    assert "earlier looks leave no level for these seeds" in row["finding"]
    assert row["low"] < row["high"]
    assert (row["deciding_low"], row["deciding_high"]) == (-math.inf, math.inf)


def test_a_pursuits_looks_are_counted(study: Study) -> None:
    results = study.results(above("high", "low"), spread=0.3, low=91.0, high=91.2)
    family = list_contrasts(results.claims, results.conditions)
    pursued, looks = verdicts.judge({"it": results}, family, EVIDENCE, {}, [3, 5, 8])
    assert pursued["it"]["looks"].item() == 3
    assert [len(look.seeds) for look in looks[family[0]]] == [3, 5, 8]
    assert pursued["it"]["level"].item() < judge(results)[0]["level"]


def test_an_undecided_claim_says_how_many_seeds_would_decide_it(study: Study) -> None:
    one = above("high", "low", claimed=0.2)
    results = study.results(one, seeds=4, spread=0.4, low=91.0, high=91.2)
    (row,) = judge(results, evidence=EVIDENCE.model_copy(update={"planned_seeds": 100}))
    assert row["verdict"] == "undecided"
    assert row["seeds"] == 4
    assert row["seeds_needed"] > 4
    # Two conditions of three epochs of 30 s.
    assert row["worker_minutes"] == pytest.approx((row["seeds_needed"] - 4) * 2 * 1.5)
    assert f"about {row['seeds_needed']} seeds would decide it" in row["finding"]
    assert "claimed 0.20 points" in row["finding"]


def test_after_all_planned_seeds_only_a_new_study_can_decide(study: Study) -> None:
    results = study.results(above("high", "low"), spread=0.4, low=91.0, high=91.2)
    (row,) = judge(results)
    assert row["verdict"] == "undecided"
    assert row["level"] == pytest.approx(0.05)
    assert row["seeds_needed"] > 8
    assert f"the level is used up, and about {row['seeds_needed']} new seeds" in row["finding"]
    assert row["worker_minutes"] == pytest.approx(row["seeds_needed"] * 2 * 1.5)


def test_the_promised_seeds_decide(study: Study) -> None:
    """The simulated conditions continue as they began, so that the promise can be tried."""
    one = claim("best", condition="high")
    means = {"low": 91.0, "near": 91.0, "high": 91.4}
    evidence = EVIDENCE.model_copy(update={"planned_seeds": 40})
    family = ["a", "b", *map(str, range(20))]
    (row,) = judge(study.results(one, seeds=4, spread=0.2, **means), family, evidence=evidence)
    assert row["verdict"] == "undecided"
    assert row["contrasts"] == 2
    more = study.results(one, seeds=2 * row["seeds_needed"], spread=0.2, **means)
    assert judge(more, family, evidence=evidence)[0]["verdict"] == "supported"


def test_the_finding_about_a_value_has_its_unit_and_no_pairing(study: Study) -> None:
    one = claim("value", condition="low", value=91.0, tolerance=1.0)
    finding = judge(study.results(one, low=91.0))[0]["finding"]
    assert finding.startswith("low: 9")
    assert " %, claimed 91.00 %" in finding
    assert finding.endswith("8 seeds)")


def test_a_bound_is_called_one(study: Study) -> None:
    one = claim("at_most", condition="high", than="low", bound=1.2)
    finding = judge(study.results(one, low=91.0, high=92.0))[0]["finding"]
    assert finding.startswith("high − low: +")
    assert "claimed at most 1.20 points" in finding


def test_one_seed_leaves_a_difference_undecided(study: Study) -> None:
    (row,) = judge(study.results(above("high", "low"), seeds=1, low=91.0, high=95.0))
    assert row["verdict"] == "undecided"
    assert np.isnan(row["low"])
    assert row["looks"] == 0
    assert "one seed cannot tell" in row["finding"]


def test_one_seed_decides_a_metric_that_does_not_depend_on_the_seed(study: Study) -> None:
    one = claim("value", condition="low", metric="total_params", value=1000, tolerance=1)
    (row,) = judge(study.results(one, seeds=1, low=91.0))
    assert row["verdict"] == "supported"
    assert row["level"] == 1


def test_an_exact_ratio_at_its_bound_is_at_most_the_bound(study: Study) -> None:
    """The mean of three times 0.1 is 0.10000000000000002 in floating point."""
    results = study.results(
        claim("at_most", condition="low", relative_to="same", metric="total_params", bound=0.1),
        seeds=3,
        low=91.0,
        same=91.0,
    )
    results.trial_metrics["total_params"] = [1000.0] * 3 + [10_000.0] * 3
    (row,) = judge(results)
    assert row["verdict"] == "supported"
    assert row["p_value"] == 0


def test_the_number_of_parameters_of_a_diverged_training_is_known(study: Study) -> None:
    one = claim("value", condition="low", metric="total_params", value=1000, tolerance=1)
    results = study.results(one, seeds=2, low=91.0)
    results.trial_metrics["status"] = "diverged"
    assert judge(results)[0]["verdict"] == "supported"


def test_diverged_trials_are_left_out_with_their_pairs(study: Study) -> None:
    results = study.results(above("high", "low"), low=91.0, high=92.0)
    metrics = results.trial_metrics
    lost = (metrics["condition"] == "high") & (metrics["seed"] == 3)
    metrics.loc[lost, "status"] = "diverged"
    metrics.loc[lost, "mean_val_accuracy"] = 10.0
    (row,) = judge(results)
    assert row["seeds"] == 7
    assert row["verdict"] == "supported"


@pytest.mark.parametrize(
    "one",
    [
        *(
            above("high", "low"),
            claim("best", condition="high"),
            claim("equivalent", conditions=["low", "high"]),
        ),
        claim("value", condition="high", relative_to="low", value=1.0, tolerance=0.5),
        seconds("above", condition="high", than="low", smallest_effect=1),
    ],
)
@pytest.mark.filterwarnings("error")
def test_without_a_finished_trial_nothing_is_known(study: Study, one: Claim) -> None:
    results = study.results(one, low=91.0, high=92.0)
    results.trial_metrics["status"] = "diverged"
    results.trial_metrics[["mean_val_accuracy", "seconds_per_epoch"]] = math.nan
    (row,) = judge(results)
    assert row["verdict"] == "undecided"
    assert row["finding"] == "no result"
    assert row["looks"] == 0


def test_conditions_without_common_seeds_are_compared_unpaired(study: Study) -> None:
    results = study.results(above("high", "low"), above("near", "low"), low=91.0, near=91.0, high=95.0)
    metrics = results.trial_metrics
    lost = (metrics["condition"] == "low") != (metrics["seed"] < 4)
    metrics.loc[lost, "status"] = "failed"
    supported, undecided = judge(results)
    assert not supported["paired"]
    assert supported["verdict"] == "supported"
    assert "not paired" in supported["finding"]
    assert undecided["verdict"] == "undecided"
    assert undecided["seeds_needed"] > 4


def test_without_claims_the_table_is_empty(study: Study) -> None:
    tables, looks = verdicts.judge({"it": study.results(low=91.0)}, [], EVIDENCE, {})
    assert tables["it"].empty
    assert "verdict" in tables["it"].columns
    assert looks == {}


def test_spreads_are_moderated_over_the_contrasts_of_a_metric(study: Study) -> None:
    names = ["same", "near", "high", "top", "far"]
    one = above("same", "low")
    means = dict.fromkeys(["low", *names], 91.0)
    alone = study.results(one, seeds=3, **means)
    among = study.results(*[above(name, "low") for name in names], seeds=3, **means)
    family = list_contrasts(among.claims, among.conditions)
    (own,), moderated = judge(alone, family), judge(among, family)
    widths = [row["deciding_high"] - row["deciding_low"] for row in (own, *moderated)]
    assert all(width < widths[0] for width in widths[1:])
    assert max(widths[1:]) < 5 * min(widths[1:])


def test_values_do_not_moderate_differences(study: Study) -> None:
    """The seed's contribution cancels in differences alone."""
    names = ["same", "near", "high", "top"]
    differences = [above(name, "low") for name in names]
    values = [claim("at_most", condition=name, bound=95) for name in names]
    means = dict.fromkeys(["low", *names], 91.0)
    family = [str(number) for number in range(10)]
    plain = judge(study.results(*differences, seeds=4, spread=0.02, **means), family)
    mixed = judge(study.results(*differences, *values, seeds=4, spread=0.02, **means), family)
    assert [row["low"] for row in plain] == [row["low"] for row in mixed[:4]]


def test_an_interval_over_images_stands_beside_that_over_seeds(study: Study) -> None:
    hits = {
        name: np.random.default_rng(place).random((8, 1000)) < 0.9
        for place, name in enumerate(("low", "high"))
    }
    claims = above("high", "low"), above("high", "low", metric="final_val_accuracy")
    results = study.results(*claims, low=91.0, high=92.0)
    one, other = judge(results._replace(image_noise=ImageNoise.of(hits)))
    assert one["image_low"] <= one["low"] < one["high"] <= one["image_high"]
    assert np.isnan(other["image_low"])


@pytest.mark.parametrize("validation", [1000, 10_000])
@pytest.mark.parametrize(
    "one",
    [
        above("high", "low"),
        claim("best", condition="high"),
        claim("equivalent", conditions=["low", "high"]),
        claim("value", condition="high", relative_to="low", value=1.0, tolerance=0.5),
        claim("at_most", condition="high", than="low", bound=5.0),
        claim("difference", condition="high", than="low", claimed=2.7),
        above("high", "low", relative=True, smallest_effect=1.0),
        claim("reaches", condition="high", accuracy=80, within=2),
    ],
)
def test_differences_that_are_equal_up_to_rounding_decide_nothing(
    study: Study, one: Claim, validation: int
) -> None:
    """Two seeds whose differences are 2.7 and 2.7, as in the demo."""
    results = study.results(one, seeds=2, low=90.0, high=92.7)
    results.trial_metrics["mean_val_accuracy"] = [90.1, 90.1, 92.8, 92.8]
    results.histories["val_accuracy"] = 90.1
    (row,) = judge(results._replace(images={"train": 2000, "validation": validation}, moments=1))
    assert row["verdict"] == "undecided"
    assert np.isnan(row["low"])
    assert row["finding"].endswith("results are equal up to rounding, so their spread is unknown")


EPOCHS = {"metric": "epochs_to_80"}


@pytest.mark.parametrize(
    ("one", "lacking"),
    [
        (above("high", "low", smallest_effect=0.5, **EPOCHS), np.nan),
        (claim("at_most", condition="low", bound=9, **EPOCHS), np.nan),
        (above("high", "low", relative=True, smallest_effect=1.0, **EPOCHS), 0.0),
        (claim("at_most", condition="high", relative_to="low", bound=20, **EPOCHS), 0.0),
    ],
)
def test_seeds_without_a_value_are_not_left_out(study: Study, one: Claim, lacking: float) -> None:
    """Those that reach an accuracy would make a slow condition look fast."""
    results = study.results(one, low=91.0, high=92.0)
    assert judge(results)[0]["verdict"] == "supported"
    trials = results.trial_metrics
    trials.loc[(trials["condition"] == "low") & (trials["seed"] > 2), "epochs_to_80"] = lacking
    (row,) = judge(results)
    assert row["verdict"] == "undecided"
    assert row["finding"].startswith("no result: epochs_to_80 is undefined for 5 of ")


def test_trials_that_diverged_reach_nothing(study: Study) -> None:
    results = study.results(claim("reaches", condition="low", accuracy=80, within=2), low=91.0)
    results.trial_metrics["status"] = "diverged"
    (row,) = judge(results)
    assert (row["verdict"], row["finding"]) == ("undecided", "no result")


def test_times_of_different_processors_are_not_compared(study: Study) -> None:
    one = seconds("above", condition="high", than="low", smallest_effect=5)
    results = study.results(one, above("high", "low"), low=91.0, high=92.0)
    results.trial_metrics["processor"] = "new server"
    assert [row["verdict"] for row in judge(results)] == ["supported", "supported"]
    results.trial_metrics.loc[results.trial_metrics["condition"] == "low", "processor"] = "old laptop"
    time, accuracy = judge(results)
    assert accuracy["verdict"] == "supported"
    assert time["verdict"] == "undecided"
    assert time["finding"] == (
        "no result: the trials were trained on several processors: new server, old laptop"
    )


@pytest.mark.parametrize(
    ("one", "sizes", "expected"),
    [
        (
            claim("value", condition="low", relative_to="high", value=0.7, tolerance=0.1),
            (8, 10),
            "supported",
        ),
        (
            claim("difference", condition="high", than="low", claimed=20, tolerance=5, relative=True),
            (8, 10),
            "supported",
        ),
        (
            claim("equivalent", conditions=["low", "high"], smallest_effect=25, relative=True),
            (8, 10),
            "supported",
        ),
        (
            claim("value", condition="low", relative_to="high", value=0.7, tolerance=0.0999),
            (8, 10),
            "contradicted",
        ),
    ],
)
def test_an_exact_number_on_the_border_of_a_region_is_inside(
    study: Study, one: Claim, sizes: tuple[int, int], expected: str
) -> None:
    sized = one.model_copy(update={"metric": "total_params"})
    results = study.results(sized, low=91.0, high=92.0)
    low = results.trial_metrics["condition"] == "low"
    results.trial_metrics["total_params"] = np.where(low, *map(float, sizes))
    (row,) = judge(results)
    assert row["verdict"] == expected
    assert row["p_value"] == 0.0

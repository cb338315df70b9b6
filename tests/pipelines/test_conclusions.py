"""Claims of several experiments, judged together, and looks that later runs remember."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cnn_ablation.evidence.look_ledger import LookLedger, LooksByData
from cnn_ablation.pipelines.conclusions import nodes
from cnn_ablation.pipelines.conclusions.nodes import (
    join_contrasts,
    list_contrasts,
    plot_effects,
    write_chapter,
)
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import EvidenceParameters, PursuitParameters
from cnn_ablation.training.results import HISTORY, METRICS
from tests.pipelines.test_evaluation import kept

EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2, planned_seeds=20, spending="pocock")
RATES = {"none": 0.0, "some": 0.3, "half": 0.5}
MEANS = {"none": 91.0, "some": 91.5, "half": 91.6}
MORE = {"text": "Dropout helps.", "kind": "above", "condition": "some", "than": "none"}
"""A claim whose difference is 0.5 points."""


def experiment(*conditions: str, **claims: dict[str, Any]) -> ExperimentParameters:
    return ExperimentParameters.model_validate(
        {
            "title": "T",
            "question": "Q?",
            "hypothesis": "H.",
            "conditions": {name: {"model": {"dropout_rate": RATES[name]}} for name in conditions},
            "claims": claims,
        }
    )


def results(parameters: ExperimentParameters, baseline: Configuration, seeds: int) -> dict[str, Any]:
    """Results as a run saves them, with the same accuracies for the same configuration and seed."""
    conditions = parameters.conditions_of(baseline)
    metrics, histories = [], []
    for condition in conditions:
        for seed in range(seeds):
            noise = np.random.default_rng([seed, int(10 * RATES[condition.name])]).normal(0, 0.15)
            accuracy = MEANS[condition.name] + noise
            where = {"condition": condition.name, "seed": seed}
            measured = dict.fromkeys(METRICS) | {"mean_val_accuracy": accuracy}
            metrics.append(where | {"status": "finished"} | measured)
            epoch = dict.fromkeys(HISTORY, 1.0) | {"epoch": 1, "val_accuracy": accuracy}
            histories.append(where | epoch)
    content = {
        "experiment": parameters.model_dump(),
        "configurations": [condition.model_dump() for condition in conditions],
        "images": {"train": 60_000, "validation": 10_000},
        "data_fingerprint": "data",
        "moments": 20,
        "image_noise": {},
        "tables": {
            "trial_metrics": pd.DataFrame(metrics).to_dict("list"),
            "histories": pd.DataFrame(histories).to_dict("list"),
        },
    }
    saved: dict[str, Any] = json.loads(json.dumps(content))
    return saved


def contrasts_of(baseline: Configuration, **study: ExperimentParameters) -> list[str]:
    return join_contrasts(
        **{name: list_contrasts(parameters, baseline) for name, parameters in study.items()}
    )


Judge = Callable[..., Any]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Judge claims as a run does, after the given looks. Return all looks and the tables."""
    file = tmp_path / "looks.json"

    def judge(
        contrasts: list[str],
        looks: LooksByData,
        pursuit: PursuitParameters | None = None,
        **tables: dict[str, Any],
    ) -> tuple[Any, ...]:
        file.write_text(json.dumps(looks))
        ledger = LookLedger(file)
        if pursuit is None:
            verdicts = nodes.judge_claims(contrasts, ledger, EVIDENCE, **tables)
        else:
            verdicts = nodes.judge_pursued_claims(contrasts, ledger, EVIDENCE, pursuit, **tables)
        return ledger.read(), *verdicts

    return judge


def test_a_claim_of_two_experiments_has_one_verdict(judge: Judge, baseline: Configuration) -> None:
    study = {
        "one": experiment("none", "some", more=MORE),
        "two": experiment("half", "some", "none", again=MORE, order={**MORE, "condition": "half"}),
    }
    contrasts = contrasts_of(baseline, **study)
    assert len(contrasts) == 2
    tables = {name: results(parameters, baseline, 6) for name, parameters in study.items()}
    looks, one, two = judge(contrasts, {}, **tables)
    assert set(looks["data"]) == set(contrasts)
    columns = ["verdict", "estimate", "deciding_low", "deciding_high", "p_value", "level", "looks"]
    first, second = (table.set_index("claim")[columns] for table in (one, two))
    assert first.loc["more"].to_dict() == second.loc["again"].to_dict()
    assert first.loc["more", "looks"] == 1


def test_each_claim_of_a_study_makes_the_level_of_the_others_smaller(
    judge: Judge, baseline: Configuration
) -> None:
    alone = experiment("none", "some", more=MORE)
    more = experiment("half", "none", other={**MORE, "condition": "half"})
    table = results(alone, baseline, 20)
    _, own = judge(contrasts_of(baseline, alone=alone), {}, alone=table)
    family = contrasts_of(baseline, alone=alone, more=more)
    _, shared = judge(family, {}, alone=table)
    assert own["level"].item() == pytest.approx(0.05, rel=1e-3)
    assert shared["level"].item() == pytest.approx(0.025, rel=1e-3)


def test_more_seeds_are_another_look_and_the_same_seeds_are_not(
    judge: Judge, baseline: Configuration
) -> None:
    claimed = experiment("none", "some", more=MORE)
    contrasts = contrasts_of(baseline, one=claimed)
    few, more = (results(claimed, baseline, seeds) for seeds in (3, 10))
    looks, first = judge(contrasts, {}, one=few)
    again_looks, again = judge(contrasts, looks, one=few)
    assert again_looks == looks
    pd.testing.assert_frame_equal(again, first)

    later_looks, second = judge(contrasts, looks, one=more)
    _, single = judge(contrasts, {}, one=more)
    assert (first["looks"].item(), second["looks"].item(), single["looks"].item()) == (1, 2, 1)
    assert 0 < second["level"].item() < single["level"].item()
    _, earlier = judge(contrasts, later_looks, one=few)
    columns = ["looks", "level", "verdict"]
    pd.testing.assert_frame_equal(earlier[columns], first[columns])
    later_again, repeated = judge(contrasts, later_looks, one=more)
    assert later_again == later_looks
    pd.testing.assert_frame_equal(repeated, second)


def test_the_looks_of_a_pursuit_count(judge: Judge, baseline: Configuration) -> None:
    claimed = experiment("none", "some", more=MORE)
    contrasts = contrasts_of(baseline, one=claimed)
    table = results(claimed, baseline, 10)
    pursuit = PursuitParameters(seeds=[3, 10], minutes=None)
    _, pursued = judge(contrasts, {}, pursuit, one=table)
    looks, _ = judge(contrasts, {}, one=results(claimed, baseline, 3))
    _, looked = judge(contrasts, looks, one=table)
    pd.testing.assert_frame_equal(pursued, looked)
    assert pursued["looks"].item() == 2


def test_looks_at_results_from_other_images_do_not_count(judge: Judge, baseline: Configuration) -> None:
    claimed = experiment("none", "some", more=MORE)
    contrasts = contrasts_of(baseline, one=claimed)
    tried = results(claimed, baseline, 10) | {"data_fingerprint": "fewer images"}
    looks, _ = judge(contrasts, {}, one=tried)
    whole = results(claimed, baseline, 3)
    both, table = judge(contrasts, looks, one=whole)
    _, alone = judge(contrasts, {}, one=whole)
    pd.testing.assert_frame_equal(table, alone)
    assert set(both) == {"fewer images", "data"}


def test_an_experiment_may_state_no_claims(
    judge: Judge, baseline: Configuration, tmp_path: Path
) -> None:
    silent = experiment("none", "some")
    contrasts = contrasts_of(baseline, one=silent)
    assert contrasts == []
    table = results(silent, baseline, 3)
    looks, verdicts = judge(contrasts, {}, one=table)
    verdicts = kept(verdicts, "conclusions.one.verdicts", tmp_path)
    assert verdicts.empty
    assert looks["data"] == {}
    texts = {"title": "T", "question": "Q?", "hypothesis": "H.", "seeds": [0, 1, 2], "figures": {}}
    assert plot_effects(table | texts, verdicts).draw().axes
    chapter = write_chapter(table | texts, verdicts, ("claims.png", b"PNG"), EVIDENCE, contrasts)
    assert chapter["verdicts"] == []
    assert chapter["contrasts"] == 0
    assert set(chapter["figures"]) == {"claims"}
    assert "**Claims:** 0 of 0 settled" in chapter["description"]

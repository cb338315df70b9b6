"""The journal reports the content of its chapters and nothing else."""

import re
from typing import Any

import pytest

from cnn_ablation import __version__
from cnn_ablation.errors import StudyError
from cnn_ablation.report import journal
from cnn_ablation.report.journal import study_of
from tests.conftest import JOURNAL_MODEL, QUICK_TRAINING

PNG = b"\x89PNG\r\n\x1a\n and so on"


def verdict(name: str, outcome: str, **fields: Any) -> dict[str, Any]:
    return {
        "claim": name,
        "text": f"Claim {name} holds.",
        "source": "overall",
        "kind": "above",
        "metric": "mean_val_accuracy",
        "unit": "points",
        "image_low": None,
        "image_high": None,
        "comparison": "one − two",
        "verdict": outcome,
        "estimate": -0.25,
        "low": -0.5,
        "high": 0.0,
        "claimed": None,
        "margin": 0.2,
        "seeds": 3,
        "is_difference": True,
        "finding": f"finding of {name}",
        "seeds_needed": None,
        "worker_minutes": None,
        **fields,
    }


def budget(condition: str, seeds: int) -> dict[str, Any]:
    parts = {"seed_sd": 0.1, "final_sd": 0.4, "images_sd": 0.3, "distribution_sd": 0.26}
    return {
        "condition": condition,
        "seeds": seeds,
        "last_step_sd": 0.35,
        "images_se": 0.27,
        **(parts if seeds > 1 else dict.fromkeys(parts)),
    }


def chapter(title: str, seeds: int = 3, **fields: Any) -> dict[str, Any]:
    def condition(name: str, accuracy: float) -> dict[str, Any]:
        return {
            "name": name,
            "settings": {"dropout_rate": accuracy / 1000, "epochs": 10},
            "evaluated_once": False,
            "seeds": seeds,
            "diverged": 0,
            "failed": 0,
            "total_params": 1234,
            "mean_val_accuracy": accuracy,
            "final_val_accuracy": accuracy - 0.05,
            "best_val_accuracy": accuracy + 0.2,
            "eval_train_accuracy": 95.0,
            "generalization_gap": 95.05 - accuracy,
            "mean_val_loss": 0.25,
            "seconds_per_epoch": 4.5,
            "sd": 0.3 if seeds > 1 else None,
            "final_sd": 0.4 if seeds > 1 else None,
            "low": accuracy - 0.7 if seeds > 1 else None,
            "high": accuracy + 0.7 if seeds > 1 else None,
        }

    return {
        "title": title,
        "question": "Which is better?",
        "hypothesis": "The one.",
        "evidence": {
            "level": 0.05,
            "smallest_effect": 0.2,
            "planned_seeds": 20,
            "spending": "pocock",
        },
        "contrasts": 12,
        "moments": 20,
        "conditions": [condition("one", 91.0), condition("two", 92.0)],
        "configurations": [
            {"name": name, "levels": {}, "model": JOURNAL_MODEL.model_dump()}
            | {"training": QUICK_TRAINING.model_dump()}
            for name in ("one", "two")
        ],
        "shared_settings": {"epochs": "10"},
        "seeds": list(range(seeds)),
        "trials": 2 * seeds,
        "verdicts": [],
        "pairs": [],
        "noise_budget": [budget(name, seeds) for name in ("one", "two")],
        "reproduction": [],
        "final_model": {},
        "image_set": "Fashion-MNIST",
        "images": {"train": 60000, "validation": 10000, "test": 10000},
        "image_shape": [1, 28, 28],
        "class_names": ["Bag", "Coat"],
        "data_fingerprint": "abcdef0123456789abcdef",
        "environment": {"device": ["cpu"], "precision": ["fp32"]},
        "tables": {
            "trial_metrics": trials(title, seeds),
            "histories": histories(seeds),
            "condition_summary": {"condition": ["one", "two"]},
        },
        "mlflow_runs": ["run 1", *[""] * (2 * seeds - 1)],
        "confusion": [
            {"condition": name, "true": true, "predicted": predicted, "percent": 50.0}
            for name in ("one", "two")
            for true in ("Bag", "Coat")
            for predicted in ("Bag", "Coat")
        ],
        "image_noise": {},
        "figures": {},
        "model": None,
        "description": f"### {title}",
        "experiment": {
            "title": title,
            "question": "Which is better?",
            "hypothesis": "The one.",
            "conditions": {"one": {}, "two": {}},
            "study": "main",
        },
        **fields,
    }


def trials(title: str, seeds: int) -> dict[str, list[Any]]:
    """A column per entry. Seed 1 of condition `one` is 0.3 points above, so that pairing matters."""
    rows = [
        {
            "condition": name,
            "seed": seed,
            "key": f"{title} {name} {seed}".lower(),
            "status": "finished",
            "mean_val_accuracy": accuracy + 0.1 * seed + 0.3 * (name == "one") * (seed == 1),
        }
        for name, accuracy in (("one", 91.0), ("two", 92.0))
        for seed in range(seeds)
    ]
    return {column: [row[column] for row in rows] for column in rows[0]}


def histories(seeds: int) -> dict[str, list[Any]]:
    rows = [
        {"condition": name, "seed": seed, "epoch": epoch, "seconds": 300.0}
        | dict.fromkeys(("train_accuracy", "val_accuracy", "train_loss", "val_loss"), 90.0 + epoch)
        for name in ("one", "two")
        for seed in range(seeds)
        for epoch in (1, 2)
    ]
    return {column: [row[column] for row in rows] for column in rows[0]}


def written(**chapters: dict[str, Any] | None) -> str:
    return journal.write_markdown(chapters)


def test_the_summary_counts_verdicts_and_gives_the_cost_of_undecided_claims() -> None:
    text = written(
        dropout=chapter(
            "Dropout",
            verdicts=[
                verdict("a", "supported"),
                verdict("b", "contradicted", image_low=-1.234, image_high=-0.1),
                verdict("c", "undecided", seeds_needed=17, worker_minutes=150.0),
                verdict("d", "undecided", seeds_needed=9.0, worker_minutes=30.0),
            ],
        )
    )
    assert (
        "Of 4 claims, 1 is supported, 0 are among the best, 0 are equivalent, 1 is contradicted, "
        "and 2 are undecided." in text
    )
    assert "**Dropout** (3 seeds): 2 of 4 claims settled; about 17 seeds would settle the rest" in text
    assert "(the most expensive one takes 2.5 h of training on one worker)" in text
    summary = text[: text.index("## Research question")]
    table = [line for line in summary.splitlines() if line.startswith("| Claim ")][1:]
    assert table == [
        "| Claim a holds. | ✔ supported | Dropout | −0.25 points | −0.50 to 0.00 | 3 | – | – |",
        "| Claim b holds. | ✘ contradicted | Dropout | −0.25 points | −0.50 to 0.00 | 3 | – | – |",
        "| Claim d holds. | ? undecided | Dropout | −0.25 points | −0.50 to 0.00 | 3 | 9 | 30 min |",
        "| Claim c holds. | ? undecided | Dropout | −0.25 points | −0.50 to 0.00 | 3 | 17 | 2.5 h |",
    ], "settled claims first, then the cheapest"
    assert "✔ **supported**: Claim a holds. *finding of a.*\n" in text
    assert "*finding of b.* *Over seeds and images: −1.23 to −0.10.*" in text


def test_the_summary_says_if_a_claim_needs_more_seeds_than_planned() -> None:
    open_claim = verdict("c", "undecided", seeds_needed=1200, worker_minutes=150.0)
    text = written(dropout=chapter("Dropout", verdicts=[open_claim]))
    assert "0 of 1 claims settled; about 1,200 seeds, more than planned, would settle the rest" in text


def test_studies_may_have_different_numbers_of_contrasts() -> None:
    text = written(dropout=chapter("Dropout"), mine=chapter("Mine", contrasts=1))
    assert "significance level 0.05 for all 12 or 1 distinct contrasts of a study together" in text


@pytest.mark.parametrize(
    ("change", "term"),
    [
        ({"data_fingerprint": "other"}, "the images, or in how they are split"),
        ({"class_names": ["cat", "dog"]}, "the names of the classes"),
        ({"moments": 1}, "the number of evaluations in an epoch (evaluation.moments)"),
        ({"evidence": {"level": 0.2}}, "the rules for verdicts (evidence)"),
    ],
)
def test_a_journal_does_not_mix_results_that_cannot_be_compared(
    change: dict[str, Any], term: str
) -> None:
    expected = (
        f"dropout and mine cannot be compared: their results differ in {term}. Run both again with the "
        "same settings: kedro run --pipelines=dropout,mine"
    )
    with pytest.raises(StudyError, match=re.escape(expected)):
        written(dropout=chapter("Dropout"), lost=None, mine=chapter("Mine", **change))


MEAN = "the mean of 20 evaluations, evenly spread over the last epoch"


@pytest.mark.parametrize(
    ("once", "expected"),
    [
        ([], MEAN),
        (["one"], f"{MEAN}; one evaluation at its end for one"),
        (["one", "two"], "one evaluation at the end of the last epoch"),
    ],
)
def test_the_set_up_names_the_conditions_that_are_evaluated_once(once: list[str], expected: str) -> None:
    content = chapter("Dropout")
    for condition in content["conditions"]:
        condition["evaluated_once"] = condition["name"] in once
    assert f"- **Validation accuracy:** {expected}\n\n### Results" in written(dropout=content)


def test_the_journal_of_another_study_has_its_name_and_reaches_its_figures() -> None:
    figures = {"comparison": ("/data/08_reporting/schedule/impact.png", PNG)}
    other = chapter("Schedules", experiment={"study": "directions"}, figures=figures)
    text = written(schedule=other)
    assert text.startswith("# Journal of the study directions: 1 experiment on Fashion-MNIST")
    assert "![Schedules: comparison](../schedule/impact.png)" in text


@pytest.mark.parametrize(
    ("studies", "expected"),
    [
        (["main", "main"], None),
        (["main", None], None),
        ([None], None),
        (["directions", "directions"], "directions"),
    ],
)
def test_only_another_study_than_the_main_one_has_a_journal_of_its_own(
    studies: list[str | None], expected: str | None
) -> None:
    chapters = {str(n): chapter("T", experiment={"study": study}) for n, study in enumerate(studies)}
    assert study_of({**chapters, "missing": None}) == expected


def test_a_claim_from_a_publication_names_it() -> None:
    claims = [verdict("a", "supported", source="He et al., 2016"), verdict("b", "supported")]
    text = written(schedule=chapter("Schedules", verdicts=claims))
    assert "**supported**: Claim a holds. (He et al., 2016) *finding of a.*" in text
    assert "**supported**: Claim b holds. *finding of b.*" in text


def test_an_experiment_that_was_not_run_is_named_as_left_out() -> None:
    text = written(dropout=chapter("Dropout"), pooling=None)
    assert "Not run yet and therefore left out: pooling." in text
    assert "Experiment 1: Dropout" in text
    assert "Experiment 2" not in text


def test_a_journal_without_any_result_is_an_error() -> None:
    with pytest.raises(StudyError, match="kedro run --pipeline=dropout"):
        written(dropout=None, pooling=None)


def test_one_seed_has_no_interval() -> None:
    text = written(dropout=chapter("Dropout", seeds=1))
    assert "one seed, so no interval" in text
    assert "These results come from one seed" in text
    assert "None" not in text
    assert "nan" not in re.findall(r"[a-z]+", text)


def test_the_noise_budget_says_where_the_noise_comes_from() -> None:
    text = written(dropout=chapter("Dropout"))
    assert "| one | 0.35 | 0.10 | 0.40 | 0.30 | 0.26 | 0.27 |" in text
    assert "a standard deviation of 0.40 points (median over conditions)" in text
    assert "the accuracy of one run has a standard deviation of 0.35 points" in text
    assert "an accuracy would differ by about 0.27 points" in text
    assert "| one | 0.35 | – | – | – | – | 0.27 |" in written(dropout=chapter("Dropout", seeds=1))


def test_the_best_condition_and_its_indistinguishable_rivals() -> None:
    pair = {
        "condition": "one",
        "other": "two",
        "low": -1.5,
        "high": 0.1,
        "correlation": 0.8,
        "seeds_needed": 5,
        "unpaired_seeds_needed": 30,
    }
    text = written(dropout=chapter("Dropout", pairs=[pair]))
    assert "**two** (Dropout) has the highest mean validation accuracy" in text
    assert "it cannot be distinguished from one." in text
    assert "takes 5 seeds with pairing, 30 without" in text
    clear = written(dropout=chapter("Dropout", pairs=[pair | {"high": -0.5}]))
    assert "cannot be distinguished" not in clear


def test_a_condition_whose_trials_have_diverged_is_not_the_best() -> None:
    dropout = chapter("Dropout")
    dropout["conditions"][1]["diverged"] = 1
    text = written(dropout=dropout)
    assert (
        "**one** (Dropout) has the highest mean validation accuracy of all conditions whose trials"
        in text
    )
    dropout["conditions"][0]["failed"] = 1
    text = written(dropout=dropout)
    assert "**two** (Dropout) has the highest mean validation accuracy of all conditions:" in text


def row(metric: str, *, agrees: bool | None, note: str | None = None) -> dict[str, Any]:
    return {
        "condition": "one",
        "metric": metric,
        "printed": "~52K" if metric == "total_params" else "92.10%",
        "published": 52000.0 if metric == "total_params" else 92.1,
        "seeds": 3,
        "mean": 1234.0 if metric == "total_params" else 91.0,
        "low": 90.0,
        "high": 92.0,
        "prediction_low": None if metric == "total_params" else 88.0,
        "prediction_high": None if metric == "total_params" else 94.0,
        "agrees": agrees,
        "note": note,
    }


def test_published_numbers_are_compared_with_measured_ones() -> None:
    rows = [row("total_params", agrees=False), row("final_val_accuracy", agrees=True, note="a copy")]
    text = written(dropout=chapter("Dropout", reproduction=rows))
    assert "Of the 2 published numbers for these conditions, 1 agrees with the measured ones" in text
    assert "; 1 does not: total_params of one (published ~52K, measured 1,234)." in text
    assert "| one | total_params | ~52K | 52,000 | 1,234 |  | **no** |  |" in text
    assert (
        "| one | final_val_accuracy | 92.10% | 92.10 | 91.00 | 88.00 to 94.00 | yes | a copy |" in text
    )


def test_published_numbers_that_cannot_be_compared_are_counted() -> None:
    rows = [row("final_val_accuracy", agrees=True), row("epochs_to_80", agrees=None)]
    text = written(dropout=chapter("Dropout", reproduction=rows))
    assert (
        "Of the 2 published numbers for these conditions, 1 agrees with the measured ones; 1 cannot be "
        "compared, because the spread of the measured ones is unknown: epochs_to_80 of one.\n" in text
    )
    assert "1 of 2 agree with the measured ones; 1 cannot be compared (see the appendix)" in text


def test_published_runs_are_repeats_only_if_their_settings_are_equal() -> None:
    same = chapter("Dropout", reproduction=[row("final_val_accuracy", agrees=True)])
    again = chapter("Pooling", reproduction=[row("final_val_accuracy", agrees=True)])
    again["reproduction"][0]["published"] = 92.5
    text = written(dropout=same, pooling=again)
    assert "repeat one configuration 2 times" in text
    assert "accuracies from 92.10 to 92.50 %: a range of 0.40 points" in text
    again["reproduction"][0]["note"] = "published run: epochs 15 instead of 10"
    assert "repeat one configuration" not in written(dropout=same, pooling=again)


def test_versions_are_listed_with_commas() -> None:
    assert journal._versions({"torch": "2.9", "numpy": "2.3"}) == "torch 2.9, numpy 2.3"


def test_the_journal_says_where_the_results_come_from() -> None:
    chapters = {
        "dropout": chapter("Dropout"),
        "again": chapter("Dropout", environment={"device": ["mps"]}),
    }
    text = written(**chapters)
    assert "| Trials | 6 (shared by experiments, counted once) |" in text
    assert "| Training time | 60 min, summed over trials |" in text
    assert "| Device | cpu, mps |" in text
    assert "| Precision | fp32 |" in text
    assert f"| Journal written by | cnn-ablation {__version__} |" in text


def test_a_notice_stands_at_the_top() -> None:
    text = journal.write_markdown({"dropout": chapter("Dropout")}, "This is a demo.")
    title, notice, _ = text.split("\n\n", 2)
    assert title.startswith("# ")
    assert notice == "> **This is a demo.**"
    assert ">" not in written(dropout=chapter("Dropout"))[:200]


def test_texts_from_conf_stay_in_their_cell() -> None:
    bar = verdict("a", "supported", text="The gap |train\n− test| falls.")
    assert "| The gap \\|train − test\\| falls. | ✔ supported | Dropout |" in written(
        dropout=chapter("Dropout", verdicts=[bar])
    )


def test_figures_are_linked_in_their_order() -> None:
    figures = {
        "claims": ("/somewhere/data/08_reporting/dropout/claims.png", PNG),
        "comparison": ("/somewhere/data/08_reporting/dropout/impact.png", PNG),
    }
    text = written(dropout=chapter("Dropout", figures=figures))
    links = re.findall(r"!\[.*?\]\(.*?\)", text)
    assert links == [
        "![Dropout: comparison](dropout/impact.png)",
        "![Dropout: claims](dropout/claims.png)",
    ]

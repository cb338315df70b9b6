"""The study `directions`: its conditions, what its claims are about, and its cost."""

import pytest
import yaml

from cnn_ablation.evidence.measuring import list_contrasts
from cnn_ablation.parts.base import Part, kind_of, parts_in
from cnn_ablation.study.claims import PLACES, deciding_conditions
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.quantities import identify_configuration
from cnn_ablation.study.trials import Condition
from tests.conftest import DIRECTIONS, ROOT

CONF = ROOT / "conf/base"
BASELINE = Configuration.model_validate(
    yaml.safe_load((CONF / "parameters.yml").read_text())["baseline"]
)
EXPERIMENTS = {
    name: ExperimentParameters.model_validate(
        yaml.safe_load((CONF / f"parameters_{name}.yml").read_text())[name]
    )
    for name in DIRECTIONS
}
CONDITIONS = {name: each.conditions_of(BASELINE) for name, each in EXPERIMENTS.items()}


def check_sources(page: str, *experiments: ExperimentParameters) -> None:
    """Check that a page lists the sources of all claims."""
    text = (ROOT / page).read_text()
    for each in experiments:
        for claim in (each.claims or {}).values():
            author, _, year = claim.source.rpartition(", ")
            assert f"- {author} ({year}): " in text, claim.source


def claimed(name: str) -> list[Condition]:
    """The conditions that claims of an experiment are about."""
    conditions = {condition.name: condition for condition in CONDITIONS[name]}
    mentioned = {
        condition
        for claim in (EXPERIMENTS[name].claims or {}).values()
        for condition in deciding_conditions(claim, list(conditions))
    }
    return [conditions[condition] for condition in mentioned]


@pytest.mark.parametrize("name", DIRECTIONS)
def test_each_experiment_tests_four_to_eight_claims_of_publications(name: str) -> None:
    claims = EXPERIMENTS[name].claims or {}
    assert 4 <= len(claims) <= 8
    assert not {claim.source for claim in claims.values()} & set(PLACES)
    assert {condition.name for condition in claimed(name)} == {
        condition.name for condition in CONDITIONS[name]
    }


def test_the_documentation_lists_every_source() -> None:
    check_sources("docs/directions.md", *EXPERIMENTS.values())


def test_each_part_of_a_training_is_in_a_claim() -> None:
    fields = TrainingParameters.model_fields.values()
    known = {kind_of(part) for field in fields for part in parts_in(field.annotation)}
    parts: list[Part] = [
        part for name in DIRECTIONS for condition in claimed(name) for part in condition.parts()
    ]
    assert known <= {part.kind for part in parts}
    smoothing = [c.training.label_smoothing for name in DIRECTIONS for c in claimed(name)]
    assert max(smoothing) > 0


def test_optimizers_are_compared_with_three_learning_rates_each() -> None:
    rates: dict[str, set[float]] = {}
    for condition in CONDITIONS["optimizer"]:
        optimizer = condition.training.optimizer
        settings = optimizer.model_copy(update={"learning_rate": 1.0})
        rates.setdefault(str(settings), set()).add(optimizer.learning_rate)
    assert [len(each) for each in rates.values()] == [3] * 5


def test_conditions_and_contrasts_are_as_many_as_the_documentation_says() -> None:
    distinct = {
        identify_configuration(each) for conditions in CONDITIONS.values() for each in conditions
    }
    contrasts = {
        key
        for name, each in EXPERIMENTS.items()
        for key in list_contrasts(each.claims or {}, CONDITIONS[name])
    }
    page = (ROOT / "docs/directions.md").read_text()
    assert f"{len(distinct)} distinct conditions" in page
    assert f"{len(contrasts)} distinct contrasts" in page

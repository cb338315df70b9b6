"""The studies `frontier` and `ablation`: a recipe, and the conditions that each lack an ingredient."""

import pytest
import torch
import yaml

from cnn_ablation.parts.layers import count_parameters
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.quantities import identify_configuration
from tests.study.test_directions import BASELINE, CONF, check_sources

GROUPS = yaml.safe_load((CONF / "parameters_frontier.yml").read_text())
RECIPE, INGREDIENTS = map(ExperimentParameters.model_validate, (GROUPS["recipe"], GROUPS["ingredients"]))
BEST, BASE_NETWORK = RECIPE.conditions_of(BASELINE)
WITH_ALL, *WITHOUT_ONE = INGREDIENTS.conditions_of(BASELINE)


@pytest.mark.parametrize(("condition", "parameters"), [(BEST, 391_370), (BASE_NETWORK, 421_834)])
def test_networks_have_at_most_450_000_parameters(condition: Configuration, parameters: int) -> None:
    with torch.device("meta"):
        network = condition.model.build((1, 28, 28), 10)
    assert count_parameters(network) == parameters


def test_the_base_network_differs_from_the_journals_only_in_its_dropout() -> None:
    model = BASE_NETWORK.model.model_dump() | {"dropout_rate": 0.5, "test_time_augmentation": "none"}
    assert model == BASELINE.model.model_dump()


def test_each_condition_lacks_one_ingredient_and_is_in_a_claim() -> None:
    assert identify_configuration(WITH_ALL) == identify_configuration(BEST)
    recipe = WITH_ALL.settings()
    for condition in WITHOUT_ONE:
        settings = condition.settings()
        differing = {name for name in recipe | settings if recipe.get(name) != settings.get(name)}
        # An optimizer has several settings.
        assert len({".".join(name.split(".")[:2]) for name in differing}) == 1, condition.name
    claims = (INGREDIENTS.claims or {}).values()
    mentioned = {name for claim in claims for names in claim.names().values() for name in names}
    assert mentioned == {"recipe", *(condition.name for condition in WITHOUT_ONE)}


def test_the_documentation_lists_every_source() -> None:
    check_sources("docs/frontier.md", INGREDIENTS)

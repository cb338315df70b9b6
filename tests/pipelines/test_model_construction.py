"""Nodes of model construction."""

from cnn_ablation.pipelines.model_construction.nodes import describe_networks, expand_trials
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import SeedParameters


def test_networks_are_described_once_per_condition(baseline: Configuration) -> None:
    experiment = ExperimentParameters.model_validate(
        {
            "title": "T",
            "question": "Q?",
            "hypothesis": "H.",
            "factors": {"model": {"use_pooling": [True, False]}},
            "condition_name": "pooling_{use_pooling}",
        }
    )
    trials = expand_trials(experiment, baseline, SeedParameters.model_validate(3))
    assert len(trials) == 6
    summary = {"image_shape": [1, 28, 28], "class_names": [str(digit) for digit in range(10)]}
    networks = describe_networks(trials, summary)
    totals = networks[networks["layer"] == "total"].set_index("condition")["parameters"]
    assert totals.to_dict() == {"pooling_True": 421_834, "pooling_False": 6_442_954}
    layers = networks[networks["condition"] == "pooling_True"]["layer"].tolist()
    assert layers[:4] == ["conv.0.conv", "conv.0.norm", "conv.0.pool", "conv.0.relu"]
    assert layers[-2:] == ["output", "total"]

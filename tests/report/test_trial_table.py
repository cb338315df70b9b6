"""The table of stored trials: filters, order, differences."""

import pandas as pd
import pytest

from cnn_ablation.errors import InputError
from cnn_ablation.report.trial_table import differing_settings, select_trials, tabulate_trials

TABLE = pd.DataFrame(
    {
        "key": ["a", "b", "c"],
        "seed": [0, 1, 0],
        "moments": [20.0, None, 20.0],
        "model.dropout_rate": [0.5, 0.5, 0.3],
        "model.kind": ["convnet"] * 3,
        "training.optimizer.kind": ["adam"] * 3,
        "mean_val_accuracy": [91.5, 92.5, 92.0],
    }
)


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ([], ["a", "b", "c"]),
        ([("seed", "0")], ["a", "c"]),
        ([("seed", "0"), ("dropout_rate", "0.3")], ["c"]),
        ([("model.dropout_rate", "0.5")], ["a", "b"]),
        ([("moments", "20")], ["a", "c"]),
        ([("key", "z")], []),
    ],
)
def test_filters(filters: list[tuple[str, str]], keys: list[str]) -> None:
    assert select_trials(TABLE, filters)["key"].tolist() == keys


SETTINGS = pd.DataFrame(
    {
        "key": ["0123", "1e5", "c", "d"],
        "use_pooling": pd.Series([True, False, [True, False], None], dtype=object),
        "use_batch_norm": [True, True, False, False],
        "convolutions": [1, 0, 1, 1],
        "dropout_rate": [0.3, 0.3, 0.0, None],
    }
)


@pytest.mark.parametrize(
    ("column", "text", "keys"),
    [
        ("use_pooling", "true", ["0123"]),
        ("use_pooling", "True", ["0123"]),
        ("use_pooling", "[true,false]", ["c"]),
        ("use_pooling", "[True, False]", ["c"]),
        ("use_pooling", "null", ["d"]),
        ("use_pooling", "1", []),
        ("use_pooling", "[true", []),
        ("use_batch_norm", "false", ["c", "d"]),
        ("convolutions", "1.0", ["0123", "c", "d"]),
        ("convolutions", "true", []),
        ("dropout_rate", "0.30", ["0123", "1e5"]),
        ("dropout_rate", "3e-1", ["0123", "1e5"]),
        ("dropout_rate", "0", ["c"]),
        ("dropout_rate", "null", ["d"]),
        ("key", "0123", ["0123"]),
        ("key", "1e5", ["1e5"]),
    ],
)
def test_filters_are_read_as_yaml(column: str, text: str, keys: list[str]) -> None:
    assert select_trials(SETTINGS, [(column, text)])["key"].tolist() == keys


@pytest.mark.parametrize("name", ["dropout_rate", "model.dropout_rate"])
def test_two_filters_of_a_column_are_an_error(name: str) -> None:
    with pytest.raises(InputError, match=r"--where: model\.dropout_rate is given more than once"):
        select_trials(TABLE, [("dropout_rate", "0.3"), (name, "0.5")])


def test_order() -> None:
    assert select_trials(TABLE, [], "mean_val_accuracy")["key"].tolist() == ["a", "c", "b"]
    assert select_trials(TABLE, [], "-mean_val_accuracy")["key"].tolist() == ["b", "c", "a"]


def test_order_of_a_setting_that_is_a_value_or_a_list() -> None:
    table = TABLE.assign(use_pooling=pd.Series([[True, False], None, True], dtype=object))
    assert select_trials(table, [], "use_pooling")["key"].tolist() == ["c", "a", "b"]
    assert select_trials(table, [], "-use_pooling")["key"].tolist() == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sed", "no column has the name 'sed'; allowed: key, .*Did you mean 'seed'"),
        ("kind", "more than one column has the name 'kind'; allowed: .*model.kind"),
        ("-", "no column has the name ''; allowed: key, "),
    ],
)
def test_unknown_columns_are_errors(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^--where: {message}"):
        select_trials(TABLE, [(name.removeprefix("-"), "0")])
    with pytest.raises(InputError, match=f"^--sort: {message}"):
        select_trials(TABLE, [], name)


def test_differences_from_most_trials() -> None:
    assert differing_settings(TABLE) == ["", "", "dropout_rate=0.3"]


def test_names_of_differing_settings_stay_unambiguous() -> None:
    table = TABLE.assign(
        **{
            "model.width": [1, 1, 2],
            "training.width": [1, 1, 3],
            "training.optimizer.kind": ["a", "a", "b"],
        }
    )
    assert differing_settings(table)[2] == (
        "dropout_rate=0.3, optimizer.kind=b, model.width=2, training.width=3"
    )


def test_an_empty_store_has_an_empty_table() -> None:
    assert differing_settings(tabulate_trials([])) == []

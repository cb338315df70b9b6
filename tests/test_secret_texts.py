"""Passwords and tokens in messages and in what is tracked."""

from typing import Any

import pytest

from cnn_ablation.secret_texts import hide_secrets


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("postgresql://me:p@ss/w@host/db failed", "postgresql://***@host/db failed"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("https://host/?token=abc&page=1", "https://host/?token=***&page=1"),
        ({"token": None, "epochs": 2}, {"token": None, "epochs": 2}),
        (
            {"API_KEY": ["k1", "k2"], "list": [{"secret": "s3"}]},
            {"API_KEY": "***", "list": [{"secret": "***"}]},
        ),
    ],
)
def test_secrets_are_hidden(value: Any, hidden: Any) -> None:
    assert hide_secrets(value) == hidden

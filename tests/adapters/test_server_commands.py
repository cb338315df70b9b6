"""Servers for an environment of conf."""

from cnn_ablation.adapters.server_commands import page_address


def test_the_address_of_a_view_selects_model_training() -> None:
    assert page_address("http://host", "3", "trials") == (
        "http://host/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=trials"
    )

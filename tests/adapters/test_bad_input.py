"""Bad input: one clear error that names file and key, before anything is trained."""

from pathlib import Path

import pytest
import torch

from cnn_ablation.training.devices import multiplies_bf16, resolve_device
from tests.conftest import kedro, make_project, write_yaml


def error_of(project: Path, *arguments: str) -> str:
    """Message of a run that must fail before it trains, without a traceback."""
    result = kedro(project, "run", *arguments)
    output = result.stdout + result.stderr
    assert result.returncode != 0, output
    assert "Traceback" not in output
    assert "validation accuracy" not in output
    assert not list(project.glob("data/06_models/trials/*"))
    return output


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "baseline.model.dropout_rate=1.0": ["baseline.model.dropout_rate", "less than 1"],
            "baseline.model.conv_channels=[32,0]": [
                "baseline.model.conv_channels.1",
                "greater than 0",
            ],
            "baseline.training.epochs=0": ["baseline.training.epochs: ", "greater than 0"],
            "baseline.training.batch_size=-1": ["baseline.training.batch_size", "greater than 0"],
            "baseline.training.optimizer=lion": [
                "baseline.training.optimizer",
                "no such optimizer; allowed: adam, adamw, sgd",
            ],
            "baseline.training.label_smoothing=1.0": [
                "baseline.training.label_smoothing: ",
                "less than 1",
            ],
            "baseline.training.averaging=emma": [
                "baseline.training.averaging: ",
                "no such averaging; allowed: none, epoch_average, ema. Did you mean 'ema'?",
            ],
            "execution.device=tpu": ["execution.device", "'auto', 'cpu', 'cuda' or 'mps'"],
            "seeds=10000000": ["seeds: ", "at most 10,000 are allowed"],
            "data.protocol=cv": ["data.protocol: ", "'journal' or 'holdout'"],
            "dropout.factors.model.dropout_rate=[]": ["dropout.factors", "at least one value"],
        },
        {
            "baseline.model.dropuot_rate=0.1": [
                "baseline.model",
                "unknown key 'dropuot_rate'; allowed:",
            ],
            "baseline.training.epochs=ten": ["baseline.training.epochs", "valid integer"],
            "seeds=[3,3]": ["seeds", "duplicate seeds: 3"],
            "dropout.factors.model.layers=[1]": ["dropout.factors", "model.layers: no such setting"],
        },
        {
            "seeds=[-1]": ["seeds.0", "greater than or equal to 0"],
            "baseline.training.learning_rate=0.1": [
                "baseline.training",
                "learning_rate is now optimizer.learning_rate",
            ],
            "dropout.factors.model.dropout_rate=[0.5,1.5]": ["dropout.factors", "1.5", "less than 1"],
            "execution.tls={ca_file: ca.pem,cert: cert.pem}": ["execution.tls.key", "Field required"],
        },
        {"data.validation_images=201": ["data.validation_images", "more than the 200 test images"]},
        {
            "baseline.training.epochs=99999999999999999999999": [
                "baseline.training.epochs: ",
                "less than or equal to 1000000",
            ],
            "baseline.training.batch_size=1000001": [
                "baseline.training.batch_size: ",
                "less than or equal to 1000000",
            ],
            "pursuit.seeds=[2,10001]": ["pursuit.seeds.1: ", "less than or equal to 10000"],
        },
        {
            "basline.model.dropout_rate=0.1": [
                "basline: no such group; allowed: data, baseline",
                "Did you mean 'baseline'?",
            ]
        },
        {
            "baseline.model.conv_channels=[8,8,8,8,8]": [
                "baseline.model.conv_channels",
                "layer 5 of 5 cannot pool",
            ]
        },
        {
            "baseline.training.augmentation=[horizontal_flip,{kind: cutout,size: 29}]": [
                "baseline.training.augmentation: ",
                "cutout: size: 29 is too large for images of 28x28 pixels; allowed: at most 28",
            ]
        },
        {
            "baseline.training.augmentation=[{kind: random_erasing,p: 1.5}]": [
                "baseline.training.augmentation.0.p: ",
                "less than or equal to 1",
            ],
        },
    ],
)
def test_parameters_on_the_command_line(project: Path, wrong: dict[str, list[str]]) -> None:
    message = error_of(project, "--pipeline=dropout", f"--params={','.join(wrong)}")
    problems = [line for line in message.splitlines() if "--params: " in line]
    assert len(problems) == len(wrong), message
    if len(wrong) > 1:
        assert f"{len(wrong)} parameters are not valid" in message
    for key, *texts in wrong.values():
        assert any(
            f"--params: {key}" in line and all(text in line for text in texts) for line in problems
        ), message


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {
                "parameters_mine.yml": {
                    "baseline": {"model": {"dropout_rate": 2.0}},
                    "evidence": {"level": 0.7},
                },
                "parameters_dropout.yml": {
                    "dropout": {
                        "claims": {
                            "mine": {"text": "So it is.", "kind": "greater"},
                            "best_is_30": {"metric": "f1"},
                            "half_too_much": {"metric": "final_val_loss"},
                            "itself": {
                                "text": "It is.",
                                "kind": "above",
                                "condition": "dropout_0.2",
                                "than": "dropout_0.2",
                                "claimed": float("nan"),
                            },
                            "rate_30_adds": {"tolerance": 0},
                            "low_rates_as_good": {"bound": float("inf")},
                        }
                    }
                },
            },
            {
                "parameters_mine.yml: baseline.model.dropout_rate: ": ["less than 1", "2.0"],
                "parameters_mine.yml: evidence.level: ": ["less than 0.5"],
                "parameters_dropout.yml: dropout.claims.mine": [
                    "kind: 'greater': no such kind of claim; allowed: above, best"
                ],
                "parameters_dropout.yml: dropout.claims.best_is_30.metric: ": [
                    "no such metric; allowed: mean_val_accuracy, final_val_accuracy"
                ],
                "parameters_dropout.yml: dropout.claims.itself.claimed: ": ["a finite number"],
                "parameters_dropout.yml: dropout.claims.rate_30_adds.tolerance: ": ["greater than 0"],
                "parameters_dropout.yml: dropout.claims.low_rates_as_good.bound: ": ["a finite number"],
                "parameters_dropout.yml: dropout.claims.half_too_much": [
                    "smallest_effect: needed for final_val_loss, in nats"
                ],
            },
        ),
        (
            {
                "parameters_dropout.yml": {
                    "dropout": {"claims": {"best_is_30": {"condition": "dropout_0.4"}}}
                }
            },
            {
                "parameters_dropout.yml: dropout.claims.best_is_30.condition: ": [
                    "no condition dropout_0.4; this experiment has dropout_0.0, dropout_0.2"
                ]
            },
        ),
        (
            {"parameters_dropout.yml": {"dropout": {"condition_name": "same"}}},
            {"parameters_dropout.yml: dropout.condition_name: ": ["more than one condition"]},
        ),
        (
            {"parameters_dropout.yml": {"dropout": {"factors": {"training": {"epochs": [1, -1]}}}}},
            {"parameters_dropout.yml: dropout.factors": ["training.epochs: -1"]},
        ),
        (
            {
                "parameters_dropout.yml": {
                    "dropout": {
                        "factors": {"model": {"conv_channels": [[8], [8] * 6]}},
                        "condition_name": "x{conv_channels}{dropout_rate}",
                        "claims": None,
                    }
                }
            },
            {
                "parameters_dropout.yml: dropout.factors.model.conv_channels: ": [
                    "layer 5 of 6 cannot pool an image of 1x1 pixels"
                ]
            },
        ),
    ],
)
def test_parameters_in_files(
    tmp_path: Path, files: dict[str, object], expected: dict[str, list[str]]
) -> None:
    project = make_project(tmp_path)
    for file, content in files.items():
        write_yaml(project / "conf/local" / file, content)
    lines = error_of(project, "--pipeline=dropout").splitlines()
    for place, texts in expected.items():
        assert any(
            f"conf/local/{place}" in line and all(text in line for text in texts) for line in lines
        ), lines


def test_groups_that_a_run_does_not_use(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    groups = {"pursuit": {"sseds": [1]}, "prediction": {"nope": 1}}
    write_yaml(project / "conf/local/parameters_mine.yml", groups)
    message = error_of(project, "--pipeline=batchnorm")
    assert "Error: 2 parameters are not valid:" in message
    file = "conf/local/parameters_mine.yml"
    assert f"{file}: pursuit: unknown key 'sseds'; allowed: seeds, minutes. Did you" in message
    assert f"{file}: prediction: unknown key 'nope'; allowed: dark_on_light." in message


def test_a_claim_about_conditions_with_the_same_settings(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    shallow = {"model": {"dropout_rate": 0.3, "conv_channels": [32, 64]}}
    write_yaml(
        project / "conf/local/parameters_combined.yml",
        {"combined": {"conditions": {"combined_optimal_deep": shallow}}},
    )
    message = error_of(project, "--pipeline=combined")
    place = "parameters_combined.yml: combined.claims.individual_studies_right.condition: "
    assert place in message
    assert "combined_optimal_shallow, combined_optimal_deep have the same settings" in message


def test_looks_that_do_not_rise(project: Path) -> None:
    message = error_of(project, "--pipeline=pursuit", "--params=pursuit.seeds=[5,5]")
    assert "--params: pursuit: seeds: must rise from look to look" in message


@pytest.mark.parametrize(
    ("pipeline", "key", "value"),
    [
        ("dropout", "seeds", "21"),
        ("dropout", "dropout.seeds", "21"),
        ("pursuit", "pursuit.seeds", "[5,21]"),
    ],
)
def test_more_seeds_than_planned(project: Path, pipeline: str, key: str, value: str) -> None:
    message = error_of(project, f"--pipeline={pipeline}", f"--params={key}={value}")
    assert (
        f"conf/base/parameters.yml: evidence.planned_seeds: 20 is less than the 21 seeds in {key}; "
        "allowed: at least 21"
    ) in " ".join(message.split())


def test_a_network_that_cannot_be_built(project: Path) -> None:
    sizes = "baseline.model.conv_channels=[32,10000000000000000000]"
    message = error_of(project, "--pipeline=pooling", f"--params={sizes}")
    assert "pooling: pooling_True: no network can be built from these settings of the model" in message


def test_an_error_in_one_experiment_stops_the_study_before_any_training(project: Path) -> None:
    error_of(project, "--params=pooling.factors.model.use_pooling=[1]")


def test_an_error_in_another_experiment_does_not_stop_a_run(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    write_yaml(project / "conf/local/parameters_pooling.yml", {"pooling": {"factors": {"model": {}}}})
    result = kedro(project, "run", "--pipeline=batchnorm", "--tags=data_ingestion")
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_unavailable_device(project: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    message = error_of(project, "--pipeline=dropout", "--params=execution.device=cuda")
    assert "--params: execution.device: cuda is not available on this machine; allowed here:" in message


def test_a_slow_precision_gives_a_warning(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    untrained = ("--pipeline=batchnorm", "--tags=data_ingestion,model_construction")
    result = kedro(project, "run", *untrained, "--params=execution.precision=bf16")
    assert result.returncode == 0, result.stdout + result.stderr
    warning = "--params: execution.precision: this machine has no instructions for bf16"
    warned = warning in " ".join(result.stdout.split())
    assert warned != multiplies_bf16(resolve_device("auto"))


def test_a_parameter_without_a_key(project: Path) -> None:
    assert "'0.5' is not a key=value pair" in error_of(project, "--params=seeds=[0,1],0.5")


def test_an_unknown_pipeline(project: Path) -> None:
    message = " ".join(error_of(project, "--pipeline=droput").split())
    assert "no pipeline 'droput'; allowed: pursuit, journal, predict" in message
    assert "Did you mean 'dropout'?" in message


def test_a_pursuit_with_another_pipeline(project: Path) -> None:
    assert "'pursuit' chooses its seeds by itself" in error_of(project, "--pipelines=pursuit,schedule")


def test_an_empty_pipeline(project: Path) -> None:
    message = " ".join(error_of(project, "--pipeline=").split())
    assert "Error: --pipeline: is empty; allowed: pursuit, journal, predict" in message


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--env=dmeo", "--env: no environment 'dmeo' in"),
        ("--tags=droput", "--tags: no tag 'droput' in __default__. Did you mean 'dropout'?"),
        ("--runner=nope.Nope", "'nope.Nope' is not the class of a runner"),
        (
            "--load-versions=nope:2020-01-01T00.00.00.000Z",
            "--load-versions: 'load_versions' keys [nope] are not found",
        ),
        ("--params=seeds=[0,1", "'seeds=[0,1' does not end as YAML"),
    ],
)
def test_an_invalid_option_gives_one_line(project: Path, option: str, expected: str) -> None:
    assert expected in " ".join(error_of(project, option).split())


def test_other_commands_report_the_configuration_in_the_same_way(project: Path) -> None:
    result = kedro(project, "catalog", "describe-datasets", "--env=dmeo")
    assert result.returncode == 1
    output = " ".join(result.stderr.split())
    assert "Did you mean 'demo'?" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("command", [("registry", "list"), ("run",)])
def test_the_variable_of_the_environment_is_named(project: Path, command: tuple[str, ...]) -> None:
    result = kedro(project, *command, KEDRO_ENV="nope")
    assert result.returncode == 1
    output = " ".join(result.stderr.split())
    assert "Error: KEDRO_ENV: no environment 'nope' in " in output
    assert "Traceback" not in output


def test_other_commands_show_the_messages_of_kedro(project: Path) -> None:
    result = kedro(project, "registry", "describe", "batchnrm")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: 'batchnrm' pipeline not found. Existing pipelines: [")


def test_an_unreachable_tracking_server(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    write_yaml(
        project / "conf/local/mlflow.yml", {"server": {"mlflow_tracking_uri": "http://127.0.0.1:9"}}
    )
    message = error_of(project, "--pipeline=dropout")
    assert "conf/local/mlflow.yml: server.mlflow_tracking_uri: http://127.0.0.1:9" in message
    assert "cannot be reached" in message


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "data/06_models").mkdir()
    (project / "data/06_models/trials").touch()
    message = " ".join(error_of(project, "--pipeline=batchnorm").split())
    assert (
        "data/06_models/trials, the store of trained trials, cannot be written: File exists" in message
    )


def test_unavailable_data(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    write_yaml(
        project / "conf/local/catalog.yml",
        {
            "images": {
                "type": "cnn_ablation.datasets.FashionMNISTDataset",
                "path": "data/01_raw/nothing",
                "sha256": dict.fromkeys(
                    ("train_images", "train_labels", "test_images", "test_labels"), "0" * 64
                ),
            }
        },
    )
    message = error_of(project, "--pipeline=dropout")
    assert "no usable train-images-idx3-ubyte.gz. Tried:" in message
    assert "data/01_raw/nothing/train-images-idx3-ubyte.gz: No such file or directory" in message
    assert "What to do:" in message


def test_class_folders_with_a_path_that_is_too_long(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    path = f"data/01_raw/{'x' * 300}"
    kind = "cnn_ablation.datasets.ClassFoldersDataset"
    write_yaml(
        project / "conf/local/catalog.yml", {"images": {"type": kind, "path": path, "size": [28, 28]}}
    )
    message = error_of(project, "--pipeline=batchnorm")
    assert f"images: path: '{path}' contains a name of more than 255 bytes; allowed: " in message
    assert "untracked" not in message


def test_a_certificate_that_cannot_be_read(project: Path) -> None:
    tls = f"{{ca_file: {'x' * 300},cert: c.pem,key: k.pem}}"
    settings = f"execution.device=cpu,execution.scheduler='tls://127.0.0.1:8786',execution.tls={tls}"
    workers = "execution.workers=null"
    message = error_of(project, "--pipeline=batchnorm", f"--params={settings},{workers}")
    assert "Error: --params: execution.tls.ca_file: xx" in message
    assert "xx cannot be read: File name too long" in message


def test_a_comparison_of_reports_with_a_path_that_is_too_long(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    write_yaml(project / "conf/local/globals.yml", {"reports": f"data/{'x' * 300}"})
    result = kedro(project, "trials", "compare", "conf", "conf")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: conf/local/globals.yml: reports: ")
    assert "xx' contains a name of more than 255 bytes; allowed: a folder" in result.stderr


def test_serving_before_a_study_says_what_to_do(project: Path) -> None:
    result = kedro(project, "serve")
    output = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0
    assert "There is no model models:/fashion-mnist-cnn@champion: run a study first" in output
    assert "or ENV=demo with make" in output
    assert "Traceback" not in output

"""The results of two runs side by side: conditions that both have, and verdicts that changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from cnn_ablation.errors import InputError, suggestion
from cnn_ablation.evidence import carrying_over
from cnn_ablation.evidence.effects import contrast
from cnn_ablation.evidence.measuring import by_seed, rounding_step, several_processors
from cnn_ablation.evidence.wording import quantity
from cnn_ablation.execution.identity import settings_of
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.report.chapters import conditions_of, trial_metrics_of
from cnn_ablation.report.console import add_name_column, plain_console
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.quantities import PRIMARY_METRIC, UNITS, Quantity
from cnn_ablation.study.trials import Condition

CONDITION_COLUMNS = [
    *("experiment", "condition", "metric", "seeds_a", "seeds_b", "mean_a", "mean_b", "shared_seeds"),
    *("difference", "low", "high", "inputs", "fault"),
]

VERDICT_COLUMNS = ["experiment", *carrying_over.COLUMNS, "seeds_a", "seeds_b", "inputs", "fault"]

VERDICTS = [
    *("claim", "text", "metric", "comparison", "unit", "verdict", "estimate", "low", "high", "seeds"),
]
"""Columns of a table of verdicts that are compared."""

ROOM = 64
"""Width, characters, that a table leaves to the columns beside two columns of names."""


class ComparedExperiment(NamedTuple):
    """The results of an experiment in one run, as far as a comparison needs them.

    Args:
        trial_metrics: A row per trial, see `evaluation.nodes.score_trials`.
        conditions: By name.
        parameters: Parameters of the experiment.
        verdicts: A row per claim, see `verdicts.judge`.
        evidence: Thresholds of the verdicts.
        scoring: Fingerprint of the data, and number of moments.
        images: Number of images by split.
    """

    trial_metrics: pd.DataFrame
    conditions: Mapping[str, Condition]
    parameters: ExperimentParameters
    verdicts: pd.DataFrame
    evidence: Mapping[str, Any]
    scoring: Mapping[str, Any]
    images: Mapping[str, int]

    @classmethod
    def of(cls, name: str, chapter: Mapping[str, Any]) -> Self:
        """Read a chapter, see `conclusions.nodes.write_chapter`.

        Raises:
            InputError: Another version of this package has written the chapter.
        """
        try:
            conditions = conditions_of(chapter)
            verdicts = pd.DataFrame(chapter["verdicts"], columns=VERDICTS)
            return cls(
                trial_metrics_of(chapter),
                conditions,
                ExperimentParameters.model_validate(chapter["experiment"]),
                verdicts.astype(dict.fromkeys(("estimate", "low", "high"), float)).set_index(
                    "claim", drop=False
                ),
                chapter["evidence"],
                {"data": chapter["data_fingerprint"], "moments": chapter["moments"]},
                chapter["images"],
            )
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{name}: its results were written by another version of this package; run it again"
            ) from None


class RunComparison:
    """Two runs, A and B, and the experiments that both have.

    Args:
        a: Chapters of one run, by experiment.
        b: Chapters of the other run.
        store: The trained trials. They say which inputs differ, down to versions of libraries. The
            settings of a trial that is not in the store come from the chapters.

    Raises:
        InputError: The runs have no experiment in common.
    """

    def __init__(
        self, a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]], store: TrialStore
    ) -> None:
        shared = [name for name in a if name in b]
        if not shared:
            raise InputError(
                "the runs have no experiment in common: "
                f"A has {', '.join(a) or 'none'}, and B has {', '.join(b) or 'none'}"
            )
        self._store = store
        self._pairs = {
            name: (ComparedExperiment.of(name, a[name]), ComparedExperiment.of(name, b[name]))
            for name in shared
        }
        self._inputs = {
            name: {
                condition: self._differing_inputs(*pair, condition)
                for condition in _shared(pair[0].conditions, pair[1].conditions)
            }
            for name, pair in self._pairs.items()
        }

    def conditions(self, metric: str = PRIMARY_METRIC) -> pd.DataFrame:
        """A row per condition that both runs have, by name.

        Args:
            metric: A key of `quantities.UNITS`.

        Returns:
            Columns: experiment; condition; metric; seeds_a and seeds_b (numbers of finished trials);
            mean_a and mean_b; shared_seeds; difference (B minus A, paired by seed if at least two seeds
            are shared), low and high (95 % interval); inputs (those that differ); fault (the reason why
            there is no difference, if it is not the lack of finished trials; or empty).

        Raises:
            InputError: There is no such metric.
        """
        if metric not in UNITS:
            allowed = ", ".join(UNITS)
            raise InputError(
                f"--metric: no metric {metric!r}; allowed: {allowed}.{suggestion(metric, UNITS)}"
            )
        rows = []
        for experiment, (a, b) in self._pairs.items():
            tables = [by_seed(run.trial_metrics, metric) for run in (a, b)]
            for condition, inputs in self._inputs[experiment].items():
                step = max(
                    rounding_step(
                        metric, [run.conditions[condition]], run.images, run.scoring["moments"]
                    )
                    for run in (a, b)
                )
                values = pd.DataFrame({"a": tables[0][condition], "b": tables[1][condition]})
                fault = self._fault(experiment, metric, [condition])
                effect = contrast(values * np.nan if fault else values, {"b": 1, "a": -1}, step)
                low, high = effect.interval()
                rows.append(
                    {
                        "experiment": experiment,
                        "condition": condition,
                        "metric": metric,
                        "seeds_a": values["a"].count(),
                        "seeds_b": values["b"].count(),
                        "mean_a": values["a"].mean(),
                        "mean_b": values["b"].mean(),
                        "shared_seeds": len(values.dropna()),
                        "difference": effect.estimate,
                        "low": low,
                        "high": high,
                        "inputs": "; ".join(inputs),
                        "fault": fault,
                    }
                )
        return pd.DataFrame(rows, columns=CONDITION_COLUMNS)

    def verdicts(self) -> pd.DataFrame:
        """A row per claim that both runs judge.

        Returns:
            Columns: experiment; those of `carrying_over.compare_verdicts`; seeds_a and seeds_b; inputs
            (those of the claim and of its conditions that differ); fault (see `conditions`).
        """
        rows = []
        for experiment, (a, b) in self._pairs.items():
            independent = a.scoring["data"] != b.scoring["data"]
            compared = carrying_over.compare_verdicts(a.verdicts, b.verdicts, independent=independent)
            for row in compared.to_dict("records"):
                claim = row["claim"]
                quantities = self._quantities(experiment, claim)
                faults = (self._fault(experiment, each.metric, each.conditions) for each in quantities)
                fault = next(filter(None, faults), "")
                rows.append(
                    {
                        "experiment": experiment,
                        **row,
                        **(dict.fromkeys(("difference", "low", "high"), np.nan) if fault else {}),
                        "seeds_a": a.verdicts.loc[claim, "seeds"],
                        "seeds_b": b.verdicts.loc[claim, "seeds"],
                        "inputs": "; ".join(self._claim_inputs(experiment, claim)),
                        "fault": fault,
                    }
                )
        return pd.DataFrame(rows, columns=VERDICT_COLUMNS)

    def unshared(self) -> dict[str, tuple[list[str], list[str]]]:
        """The conditions that only A, and those that only B has, by experiment; without empty ones."""
        found = {}
        for experiment, (a, b) in self._pairs.items():
            only_a = [name for name in a.conditions if name not in b.conditions]
            only_b = [name for name in b.conditions if name not in a.conditions]
            if only_a or only_b:
                found[experiment] = (only_a, only_b)
        return found

    def _differing_inputs(
        self, a: ComparedExperiment, b: ComparedExperiment, condition: str
    ) -> list[str]:
        """The inputs of a condition's trials that differ, except for the seeds."""
        keys = [_keys(run.trial_metrics, condition) for run in (a, b)]
        shared = _shared(*keys)
        if shared and all(keys[0][seed] == keys[1][seed] for seed in shared):
            return []
        stored = [
            next((entry for key in each.values() if (entry := self._store.get(key)) is not None), None)
            for each in keys
        ]
        if stored[0] is not None and stored[1] is not None:
            settings = [settings_of(entry.identity) for entry in stored if entry is not None]
        else:
            settings = [run.conditions[condition].settings() | dict(run.scoring) for run in (a, b)]
        return _differences(*({k: v for k, v in each.items() if k != "seed"} for each in settings))

    def _fault(self, experiment: str, metric: str, conditions: Sequence[str]) -> str:
        """The reason why a metric of both runs is not compared; or empty."""
        trials = pd.concat([run.trial_metrics for run in self._pairs[experiment]])
        compared = trials["condition"].isin(conditions) & (trials["status"] == "finished")
        return several_processors(metric, trials[compared])

    def _quantities(self, experiment: str, claim: str) -> list[Quantity]:
        """The quantities that decide a claim in either run."""
        return [
            quantity
            for run in self._pairs[experiment]
            for quantity in (run.parameters.claims or {})[claim].quantities(list(run.conditions))
        ]

    def _claim_inputs(self, experiment: str, claim: str) -> list[str]:
        """The inputs of a claim's verdict that differ."""
        a, b = self._pairs[experiment]
        claims = [(run.parameters.claims or {})[claim] for run in (a, b)]
        named = {name for each in self._quantities(experiment, claim) for name in each.conditions}
        inputs = [
            text
            for condition, texts in self._inputs[experiment].items()
            for text in texts
            if condition in named
        ]
        only_one = sorted(named - self._inputs[experiment].keys())
        seeds = [int(run.verdicts.loc[claim, "seeds"]) for run in (a, b)]
        return [
            *dict.fromkeys(inputs),
            *(["the claim itself"] if claims[0] != claims[1] else []),
            *(f"{name} in one run only" for name in only_one),
            *_differences({"seeds": seeds[0]}, {"seeds": seeds[1]}),
            *_differences(*({f"evidence.{k}": v for k, v in run.evidence.items()} for run in (a, b))),
        ]


def print_comparison(
    conditions: pd.DataFrame,
    verdicts: pd.DataFrame,
    unshared: Mapping[str, tuple[list[str], list[str]]],
    *,
    every_claim: bool = False,
    console: Console | None = None,
) -> None:
    """Print the conditions, and the claims whose verdict changed.

    Args:
        conditions: See `RunComparison.conditions`.
        verdicts: See `RunComparison.verdicts`.
        unshared: See `RunComparison.unshared`.
        every_claim: Whether to print also the claims whose verdict is the same.
        console: Where to print; None: standard output.
    """
    console = console or plain_console()
    widest = (console.width - ROOM) // 2
    if len(conditions):
        metric = conditions["metric"].iloc[0]
        unit = UNITS[metric]
        table = Table(
            title=f"{metric} ({'%' if unit == 'points' else unit})",
            title_justify="left",
            title_style="bold",
            caption=f"B − A in {unit}, over the seeds that both have, or over all seeds if both have "
            "several and share fewer than two",
            caption_justify="left",
            pad_edge=False,
        )
        for name in ("Experiment", "Condition"):
            add_name_column(table, name, conditions[name.lower()], widest)
        for name in ("A", "B", "B − A", "95 % interval"):
            table.add_column(name, justify="right")
        table.add_column("Shared seeds", justify="right", width=len("Shared"))
        table.add_column("Inputs that differ", overflow="fold")
        for row in conditions.to_dict("records"):
            interval = [quantity(row[end], unit, bare=True) for end in ("low", "high")]
            table.add_row(
                row["experiment"],
                row["condition"],
                *(_number(row[name], unit) for name in ("mean_a", "mean_b")),
                _number(row["difference"], unit, signed=True),
                "–" if pd.isna(row["low"]) else " to ".join(interval),
                str(row["shared_seeds"]),
                row["inputs"] or "none",
            )
        console.print(table)
        _print_faults(conditions, "condition", console)
    for experiment, names in unshared.items():
        for run, only in zip("AB", names, strict=True):
            if only:
                console.print(f"{experiment}: only {run} has {', '.join(only)}", highlight=False)
    changed = verdicts[verdicts["verdict_a"] != verdicts["verdict_b"]]
    shown = verdicts if every_claim else changed
    if len(shown):
        table = Table(pad_edge=False)
        add_name_column(table, "Experiment", shown["experiment"], widest)
        for name in ("Claim", "A", "B", "Outcome", "B − A", "Inputs that differ"):
            table.add_column(name, overflow="fold")
        for row in shown.to_dict("records"):
            table.add_row(
                *(row[name] for name in ("experiment", "text", "verdict_a", "verdict_b", "outcome")),
                _difference(row),
                row["inputs"] or "none",
            )
        console.print(table)
        _print_faults(shown, "claim", console)
    if conditions.empty and verdicts.empty:
        console.print("The runs have no condition in common", highlight=False)
        return
    count = "1 of them has" if len(changed) == 1 else f"{len(changed)} of them have"
    console.print(f"Claims in both runs: {len(verdicts)}; {count} another verdict", highlight=False)


def _print_faults(table: pd.DataFrame, column: str, console: Console) -> None:
    """Print why conditions or claims have no difference."""
    faulty = table[table["fault"] != ""]
    for (experiment, fault), names in faulty.groupby(["experiment", "fault"], sort=False)[column]:
        console.print(f"{experiment}: no difference for {', '.join(names)}: {fault}", highlight=False)


def _difference(row: Mapping[str, Any]) -> str:
    """The difference of a claim's estimates, with its interval if that is known."""
    unit = row["unit"]
    difference = "–" if pd.isna(row["difference"]) else quantity(row["difference"], unit, signed=True)
    if pd.isna(row["low"]):
        return difference
    ends = [quantity(row[end], unit, bare=True) for end in ("low", "high")]
    return f"{difference} ({' to '.join(ends)})"


def _number(value: float, unit: str, *, signed: bool = False) -> str:
    return "–" if pd.isna(value) else quantity(value, unit, signed=signed, bare=True)


def _keys(trial_metrics: pd.DataFrame, condition: str) -> dict[int, str]:
    rows = trial_metrics[trial_metrics["condition"] == condition]
    return {int(seed): str(key) for seed, key in zip(rows["seed"], rows["key"], strict=True)}


def _shared(a: Iterable[Any], b: Iterable[Any]) -> list[Any]:
    """The entries of A that are in B, in A's order."""
    found = set(b)
    return [entry for entry in a if entry in found]


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {a.get(name, '–')} → {b.get(name, '–')}"
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    ]

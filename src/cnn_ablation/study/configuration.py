"""The settings of a trial: an architecture and its training."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from cnn_ablation.base_parameters import Parameters
from cnn_ablation.errors import suggestion
from cnn_ablation.parts.architectures import AnyArchitecture
from cnn_ablation.parts.augmentations import AnyAugmentation
from cnn_ablation.parts.averaging import AnyAveraging, Averaging, NoAveraging
from cnn_ablation.parts.base import Part
from cnn_ablation.parts.initializations import AnyInitialization, PyTorchDefault
from cnn_ablation.parts.optimizers import AnyOptimizer
from cnn_ablation.parts.schedules import AnySchedule, Constant

MAX_COUNT = 1_000_000
"""Largest number of epochs or of images per step, so that a typing error does not train for ever."""

SettingPath = tuple[str, ...]
"""Path of a setting in a configuration, such as ("training", "optimizer", "learning_rate")."""


class TrainingParameters(Parameters):
    """The training of a network.

    Defaults must not change, because a stored trial keeps only the settings that differ from them.
    """

    moved: ClassVar[Mapping[str, str]] = {
        name: f"optimizer.{name}" for name in ("learning_rate", "weight_decay", "momentum")
    }

    epochs: PositiveInt = Field(le=MAX_COUNT, description="Passes over the training images.")
    batch_size: PositiveInt = Field(le=MAX_COUNT, description="Images per optimizer step.")
    optimizer: AnyOptimizer = Field(description="How gradients change the weights.")
    schedule: AnySchedule = Field(
        default=Constant(), description="How the learning rate changes over the training."
    )
    augmentation: list[AnyAugmentation] = Field(
        default=[], description="Random changes of the training images, applied in this order."
    )
    initialization: AnyInitialization = Field(
        default=PyTorchDefault(), description="The weights that a training starts from."
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of each label that the loss of the training spreads evenly over all classes "
        "(Szegedy et al., 2016). Recorded losses are always those of the labels themselves.",
    )
    averaging: AnyAveraging = Field(
        default=NoAveraging(),
        description="The weights that are evaluated and stored: those of the last step, or an average.",
    )

    def steps_per_epoch(self, images: int) -> int:
        """Number of optimizer steps in an epoch of this many training images."""
        return -(-images // self.batch_size)


class Configuration(Parameters):
    """A network and its training: all settings of a trial except its seed and the data."""

    model: AnyArchitecture = Field(description="The architecture of the network.")
    training: TrainingParameters = Field(description="The training of the network.")

    @classmethod
    def within(cls, record: Mapping[str, Any]) -> Self:
        """Read the configuration from a record that holds it among other things.

        Raises:
            KeyError: The record has no `model` or no `training`.
            ValidationError: They are not a configuration of this version.
        """
        return cls.model_validate({group: record[group] for group in cls.model_fields})

    def identity(self) -> dict[str, Any]:
        """The settings that differ from their defaults or have none, and the kinds of all parts."""
        return {"model": self.model.identity(), "training": _identity(self.training)}

    def moments(self, moments: int) -> int:
        """Number of evaluations in the last epoch.

        It is 1 if the network that is evaluated exists only after the last step: an average over the
        last epoch, or a network with test-time augmentation.

        Args:
            moments: Number of evaluations of all other configurations.
        """
        averaging = self.training.averaging
        averaged = isinstance(averaging, Averaging) and averaging.at_end
        return 1 if averaged or self.model.augments_at_test_time else moments

    def parts(self) -> list[Part]:
        """All parts, in the order of the settings."""
        training = self.training
        return [
            *(self.model, training.optimizer, training.schedule),
            *(*training.augmentation, training.initialization, training.averaging),
        ]

    def settings(self) -> dict[str, Any]:
        """Every setting by its dotted name: `model.dropout_rate`, `training.optimizer.learning_rate`."""
        return {
            ".".join(path): value
            for group in ("model", "training")
            for path, value in _leaves(getattr(self, group), (group,))
        }

    def value_of(self, path: SettingPath) -> Any:
        """The value at a path: a part, a setting, or a property of a part such as num_conv_layers.

        Raises:
            LookupError: The configuration has no such setting.
        """
        value: Any = self
        for name in path:
            kind = type(value)
            own_property = not hasattr(Part, name) and isinstance(getattr(kind, name, None), property)
            if not (name in getattr(kind, "model_fields", ()) or own_property):
                raise LookupError(".".join(path))
            value = getattr(value, name)
        return value


def _identity(group: Parameters) -> dict[str, Any]:
    identity = {}
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if field.is_required() or value != field.get_default():
            identity[name] = _plain(value, Part.identity)
    return identity


def _plain(value: Any, render: Any) -> Any:
    if isinstance(value, Part):
        return render(value)
    return [_plain(item, render) for item in value] if isinstance(value, list) else value


def _leaves(group: Parameters, prefix: SettingPath) -> Iterator[tuple[SettingPath, Any]]:
    for name in type(group).model_fields:
        value = getattr(group, name)
        if isinstance(value, Parameters):
            yield from _leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), _plain(value, str)


def label(value: Any) -> Any:
    """A setting's value as it appears in names, tables and axes, where a part is its label."""
    return _plain(value, str)


def changes_in(tree: Any, path: SettingPath = ()) -> Iterator[tuple[SettingPath, Any]]:
    """The settings in a nested mapping from conf, as paths and values.

    A mapping with `kind`, or a bare name, replaces a whole part. A mapping without `kind` changes some
    of the part's settings.
    """
    if isinstance(tree, Mapping) and "kind" not in tree and tree:
        for name, inner in tree.items():
            yield from changes_in(inner, (*path, str(name)))
    elif path and tree != {}:
        yield path, tree


def change(tree: dict[str, Any], path: SettingPath, value: Any) -> None:
    """Set the value at a path of a nested mapping, in place."""
    *groups, name = path
    for group in groups:
        tree = tree[group]
    tree[name] = value


def check_change(path: SettingPath, value: Any) -> None:
    """Check that some configuration has a setting at this path that accepts the value.

    Whether the setting fits the others is checked when conditions are resolved. For example, sgd has a
    momentum, but the optimizer of the baseline may not have one.

    Raises:
        ValueError: There is no such setting, or the value is not allowed.
    """
    owners: list[type[Parameters]] = [Configuration]
    for place, name in enumerate(path):
        fields = [owner.model_fields[name] for owner in owners if name in owner.model_fields]
        where = ".".join(path[: place + 1])
        if not fields:
            raise ValueError(f"{where}: {_unknown(name, owners)}")
        if place < len(path) - 1:
            owners = [owner for field in fields for owner in _groups_in(field.annotation)]
            continue
        reasons = []
        for field in fields:
            kind: Any = Annotated[field.annotation, field]
            try:
                TypeAdapter(kind).validate_python(value, strict=True)
            except ValidationError as error:
                reasons.append("; ".join(describe(detail) for detail in error.errors()))
            else:
                return
        raise ValueError(f"{where}: {value!r}: {reasons[0]}")


def describe(detail: Any) -> str:
    """The message of a pydantic error, without its prefix."""
    return str(detail["msg"]).removeprefix("Value error, ")


def locate(detail: Any) -> str:
    """The dotted key of a pydantic error, if it has one, and the message."""
    return ": ".join(filter(None, (".".join(map(str, detail["loc"])), describe(detail))))


def _unknown(name: str, owners: list[type[Parameters]]) -> str:
    for owner in owners:
        if name in owner.moved:
            return f"it is now {owner.moved[name]}"
    allowed = list(dict.fromkeys(field for owner in owners for field in owner.model_fields))
    if not allowed:
        return "no such setting: the key before it has no settings"
    return f"no such setting; allowed: {', '.join(allowed)}.{suggestion(name, allowed)}"


def _groups_in(annotation: Any) -> list[type[Parameters]]:
    """Groups of settings that an annotation mentions, but not inside of lists."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Parameters) else []
    if getattr(annotation, "__origin__", None) is list:
        return []
    return [group for argument in get_args(annotation) for group in _groups_in(argument)]

"""The published journal's training as a tutorial would write it: the reference of the benchmarks.

It uses torchvision's dataset with a transform per image, DataLoaders, a network with ReLU before
pooling, Adam, and the published journal's four metrics per epoch: loss and accuracy of both splits.
"""

import gzip
import shutil
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from cnn_ablation.parts.architectures import ConvNet


def unpack(folder: Path, target: Path) -> None:
    """Decompress the .gz files of a folder to where torchvision expects the files."""
    raw = target / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in folder.glob("*-ubyte.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as file:
            shutil.copyfileobj(source, file)


def make_network(model: ConvNet) -> nn.Module:
    """The published journal's network: convolutions, batch norm, ReLU, pooling; dense with dropout."""
    layers: list[nn.Module] = []
    channels, side = 1, 28
    for out_channels in model.conv_channels:
        layers.append(
            nn.Conv2d(channels, out_channels, model.kernel_size, padding=model.kernel_size // 2)
        )
        if model.use_batch_norm:
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.ReLU())
        if model.use_pooling:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        channels = out_channels
    layers.append(nn.Flatten())
    features = channels * side**2
    for units in model.fc_units:
        layers += [nn.Linear(features, units), nn.ReLU(), nn.Dropout(model.dropout_rate)]
        features = units
    return nn.Sequential(*layers, nn.Linear(features, 10))


class PlainTraining:
    """A training that runs one epoch at a time.

    Args:
        folder: Folder that `unpack` wrote to.
        model: The architecture.
        batch_size: Images per step.
    """

    def __init__(self, folder: Path, model: ConvNet, batch_size: int = 64) -> None:
        # Imported here, so that `make_network` needs only PyTorch.
        from torchvision import transforms
        from torchvision.datasets import FashionMNIST

        transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.2860,), (0.3530,))]
        )
        self.train_loader = DataLoader(
            FashionMNIST(folder, train=True, transform=transform), batch_size, shuffle=True
        )
        self.test_loader = DataLoader(FashionMNIST(folder, train=False, transform=transform), batch_size)
        self.network = make_network(model)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.001)
        self.loss = nn.CrossEntropyLoss()

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch; return training and validation loss, and accuracy in percent."""
        self.network.train()
        train_loss, train_correct, train_images = 0.0, 0, 0
        for images, labels in self.train_loader:
            self.optimizer.zero_grad()
            logits = self.network(images)
            loss = self.loss(logits, labels)
            loss.backward()
            self.optimizer.step()
            train_loss += loss.item() * len(labels)
            train_correct += int((logits.argmax(1) == labels).sum())
            train_images += len(labels)
        self.network.eval()
        val_loss, val_correct, val_images = 0.0, 0, 0
        with torch.no_grad():
            for images, labels in self.test_loader:
                logits = self.network(images)
                val_loss += self.loss(logits, labels).item() * len(labels)
                val_correct += int((logits.argmax(1) == labels).sum())
                val_images += len(labels)
        return {
            "train_loss": train_loss / train_images,
            "train_accuracy": 100 * train_correct / train_images,
            "val_loss": val_loss / val_images,
            "val_accuracy": 100 * val_correct / val_images,
        }

"""The base network, trained as a tutorial would: what the benchmarks compare with.

A Dataset that transforms an image at a time, a DataLoader, a network with ReLU before pooling, Adam.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cnn_ablation import fashion_mnist


class FashionMNIST(Dataset[tuple[Tensor, int]]):
    """One image and its label at a time."""

    def __init__(self, folder: Path, split: str) -> None:
        raw = fashion_mnist.load(folder)
        self.images: np.ndarray = raw[f"{split}_images"]
        self.labels: np.ndarray = raw[f"{split}_labels"]
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.2860,), (0.3530,))]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index][..., None]), int(self.labels[index])


def make_network() -> nn.Module:
    """The journal's base network: two convolutional layers, batch norm, pooling, dropout 0.5."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


class PlainTraining:
    """A training that can be run an epoch at a time.

    Args:
        folder: Folder of Fashion-MNIST's files.
        batch_size: Images per step.
    """

    def __init__(self, folder: Path, batch_size: int = 64) -> None:
        self.train_loader = DataLoader(FashionMNIST(folder, "train"), batch_size, shuffle=True)
        self.test_loader = DataLoader(FashionMNIST(folder, "test"), batch_size)
        self.network = make_network()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.001)
        self.loss = nn.CrossEntropyLoss()

    def run_epoch(self) -> float:
        """Train an epoch, then return the accuracy on the test images, percent."""
        self.network.train()
        for images, labels in self.train_loader:
            self.optimizer.zero_grad()
            loss = self.loss(self.network(images), labels)
            loss.backward()
            self.optimizer.step()
        self.network.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in self.test_loader:
                correct += int((self.network(images).argmax(1) == labels).sum())
        return 100 * correct / len(self.test_loader.dataset)  # type: ignore[arg-type]

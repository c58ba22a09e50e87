"""Sentences begin with the name of the file that they are about."""

import pytest

from saidcodec.errors import CorruptError, about


@pytest.mark.parametrize(
    ("name", "sentence", "said"),
    [
        ("a.said", "The file is empty.", "a.said: The file is empty."),
        ("e", "The file is empty.", "e: The file is empty."),
        ("a.said", "a.said cannot be read.", "a.said cannot be read."),
        ("a.said", "a.said: The file is empty.", "a.said: The file is empty."),
        ("folder", "folder/a.png cannot be read.", "folder/a.png cannot be read."),
        (None, "The file is empty.", "The file is empty."),
    ],
)
def test_a_name_is_added_once(name: str | None, sentence: str, said: str) -> None:
    with pytest.raises(CorruptError) as caught, about(name):
        raise CorruptError(sentence)
    assert str(caught.value) == said


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(TypeError, match=r"^no$"), about("a.said"):
        raise TypeError("no")

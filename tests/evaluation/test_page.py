"""Tables find their places in a page."""

import pytest

from saidcodec.evaluation.page import filled

PAGE = "# Title\n\n<!-- one -->\nold\nrows\n<!-- end -->\n\ntext\n\n<!-- two -->\n<!-- end -->\n"


def test_only_the_named_places_change():
    page = filled(PAGE, {"two": "| new |"})
    assert page == PAGE.replace("<!-- two -->\n", "<!-- two -->\n| new |\n")
    assert filled(page, {"two": "| new |"}) == page
    assert filled(page, {"one": "x"}).count("old") == 0


def test_a_table_without_a_place_is_an_error():
    with pytest.raises(KeyError, match="three"):
        filled(PAGE, {"three": ""})

import copy
import pickle

import pytest

from langcache.models import SearchStrategy
from langcache.types import UnrecognizedStr


@pytest.mark.parametrize("value", ["exact", "something newer"])
def test_a_member_of_an_open_enum_can_be_pickled_and_copied(value):
    member = SearchStrategy(value)
    copies = [
        *(pickle.loads(pickle.dumps(member, protocol)) for protocol in range(6)),
        *(copy.copy(member), copy.deepcopy(member)),
    ]
    for each in copies:
        assert type(each) is SearchStrategy
        assert each == member
        assert isinstance(each, UnrecognizedStr) == (value != "exact")

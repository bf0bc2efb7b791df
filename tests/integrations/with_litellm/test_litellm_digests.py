"""The digests that identify questions: different values have different digests."""

from hypothesis import given
from hypothesis import strategies as st

from langcache.answers.digests import digest
from langcache.integrations.litellm._question import QuestionReader

NAMES = st.text(max_size=3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(-2, 2).map(lambda number: round(number, 1))
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=3)}
    ),
    min_size=1,
    max_size=3,
)


def meaning(value):
    """The value with types, because 1 == 1.0 == True. A member that is None counts as absent."""
    if isinstance(value, dict):
        items = [(name, meaning(each)) for name, each in value.items() if each is not None]
        return ("dict", sorted(items, key=lambda item: item[0]))
    if isinstance(value, list):
        return ("list", [meaning(each) for each in value])
    return (type(value).__name__, repr(value))


@given(VALUES, VALUES)
def test_digests_are_equal_for_values_of_the_same_meaning_only(one, other):
    assert (digest(one) == digest(other)) == (meaning(one) == meaning(other))


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_the_order_of_parameters_does_not_count(parameters):
    backwards = dict(reversed(parameters.items()))
    assert digest(parameters) == digest(backwards)


@given(st.text(max_size=3), TURNS, st.text(max_size=3), TURNS)
def test_requests_share_an_id_when_everything_is_equal_only(key, turns, other_key, other_turns):
    reader = QuestionReader("index", max_question_length=100, latin_only=False)
    one = reader.read(f"k{key}", {"messages": turns})
    other = reader.read(f"k{other_key}", {"messages": other_turns})
    assert (one.id == other.id) == ((key, turns) == (other_key, other_turns))


@given(TURNS, TURNS)
def test_requests_share_a_scope_when_the_questions_differ_at_most(turns, other_turns):
    reader = QuestionReader("index", max_question_length=100, latin_only=False)
    one = reader.read("k", {"messages": turns})
    other = reader.read("k", {"messages": other_turns})
    if one.context_hash == other.context_hash:
        assert turns[:-1] == other_turns[:-1]
        assert turns[-1]["role"] == other_turns[-1]["role"]
        assert turns == other_turns or None not in (one.text, other.text)

"""The text of a schedule: a line that can be pasted and read back."""

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importtrace.race.errors import InputError, ScheduleError
from importtrace.race.scenario import Entry, Scenario
from importtrace.race.schedule import KINDS, Schedule, Switch

names = st.sampled_from(["a", "pkg.mod", "größe.wert", "pkg.sub_2.last", "_x"])
entries = st.builds(Entry, names, st.none() | st.sampled_from(["Name", "größe"]))
switches = st.builds(
    Switch,
    st.integers(0, 9),
    st.sampled_from(KINDS),
    names | st.just("") | st.text(max_size=6),
    st.integers(1, 30),
    st.integers(1, 9),
)


@given(
    st.builds(
        Schedule,
        st.lists(entries, min_size=1, max_size=4).map(tuple),
        st.lists(switches, max_size=5).map(tuple),
        st.booleans(),
    )
)
def test_text_reads_back_equal(schedule):
    """What was printed is the same schedule again."""
    assert Schedule.parse(str(schedule)) == schedule


@given(switches)
def test_text_is_one_word_for_a_shell(switch):
    """No blank, colon or line end of a module's name leaks into the line."""
    text = str(switch)
    assert not re.search(r"[\s:]", text)
    assert shlex.split(shlex.quote(text)) == [text]


def test_of_plain_names_the_text_needs_no_quotes():
    """Nothing that a shell takes for its own."""
    schedule = Schedule.parse("v1:a,a.b+Name:1@acquire/a.b/2=2:2@end=1")
    assert shlex.quote(str(schedule)) == str(schedule)
    assert schedule.entries == (Entry("a"), Entry("a.b", "Name"))
    assert schedule.switches == (Switch(1, "acquire", "a.b", 2, 2), Switch(2, "end", "", 1, 1))


def test_file_with_comments_is_a_schedule():
    """A schedule file says above the line what it is."""
    assert str(Schedule.parse("# it fails\n\nv1:a,b:1@end=2\n")) == "v1:a,b:1@end=2"


@pytest.mark.parametrize(
    "text",
    ["", "v2:a", "a,b", "v1:a:1-2", "v1:a:1@sleep/x=2", "v1:a\nv1:b", "v1::", "v1:a..b", "v1+x:a"],
)
def test_other_text_is_refused_in_one_line(text):
    """Said at once, not by a traceback."""
    with pytest.raises(InputError) as caught:
        Schedule.parse(text)
    assert "\n" not in str(caught.value)


def test_scenario_knows_its_top_level_packages():
    """Whose lines are points with --lines."""
    assert Scenario.of("a.b", "a.c:x", "d").tops == ("a", "d")


def test_schedule_error_is_bad_input():
    """Exit code 2 by the command line's rule."""
    assert issubclass(ScheduleError, InputError)

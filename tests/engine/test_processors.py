"""Work that is divided among threads: every job is done, and the threads end with the call."""

import threading

import pytest
from forks import forks, succeeds_in_child

from langcache.engine.embedders._processors import Processors, do_all, usable_processors

pytestmark = forks


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_job_is_done_once_and_no_thread_is_left(threads):
    before = set(threading.enumerate())
    done = []
    do_all(done.append, range(50), threads)
    assert sorted(done) == list(range(50))
    assert set(threading.enumerate()) == before


def test_jobs_are_done_at_the_same_time():
    all_at_work = threading.Barrier(3)
    do_all(lambda _: all_at_work.wait(10), range(3), 3)


def test_one_job_is_done_in_the_thread_of_the_caller():
    threads = []
    do_all(lambda _: threads.append(threading.current_thread()), ["job"], 4)
    assert threads == [threading.current_thread()]


def test_an_error_in_another_thread_is_raised_and_ends_the_work():
    caller = threading.current_thread()
    both_at_work = threading.Barrier(2)
    begun = []

    def work(job):
        begun.append(job)
        others = [each for each in threading.enumerate() if each.name == "langcache-embed"]
        both_at_work.wait(10)
        if threading.current_thread() is not caller:
            raise ValueError("in a helper")
        others[0].join(10)

    with pytest.raises(ValueError, match=r"^in a helper$"):
        do_all(work, range(3), 2)
    assert sorted(begun) == [0, 1]


def test_an_error_in_the_thread_of_the_caller_is_raised():
    caller = threading.current_thread()
    both_at_work = threading.Barrier(2)

    def work(_):
        both_at_work.wait(10)
        if threading.current_thread() is caller:
            raise ValueError("in the caller")

    with pytest.raises(ValueError, match=r"^in the caller$"):
        do_all(work, range(2), 2)


def test_without_more_threads_the_caller_does_all(monkeypatch):
    def cannot_start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", cannot_start)
    done = []
    do_all(done.append, range(5), 3)
    assert done == list(range(5))


def test_calls_at_the_same_time_share_the_processors():
    processors = Processors(4)
    with processors.take(3) as first, processors.take(64) as second, processors.take(64) as third:
        assert (first, second, third) == (3, 1, 1)
    with processors.take(64) as alone:
        assert alone == 4


def test_a_forked_process_has_all_processors():
    processors = Processors(2)

    def takes_all():
        with processors.take(2) as taken:
            assert taken == 2

    with processors.take(2):
        assert succeeds_in_child(takes_all)
    takes_all()


def test_at_least_one_processor_is_usable():
    assert usable_processors() >= 1

"""A process that is forked while other threads use an `AnswerCache`."""

from __future__ import annotations

import threading

from forks import SECONDS, busy, forks, succeeds_in_child

from langcache import AnswerCache

pytestmark = forks

FORKS = 10


def test_a_child_can_use_what_other_threads_used_at_the_fork():
    cache = AnswerCache("memory", verifier=None)

    @cache.cached(prompt="question")
    def answer(question: str) -> str:
        return f"about {question}"

    def work():
        assert answer("a question") == "about a question"
        assert cache.statistics.misses >= 1

    work()
    with busy(work):
        assert all(succeeds_in_child(work) for _ in range(FORKS))
    work()


def test_a_child_does_not_wait_for_a_call_of_its_parent():
    cache = AnswerCache("memory", verifier=None)
    calling, done = threading.Event(), threading.Event()

    @cache.cached(prompt="question", ignore=("name",))
    def answer(question: str, name: str) -> str:
        if name == "parent":
            calling.set()
            done.wait(SECONDS)
        return name

    thread = threading.Thread(target=answer, args=("a question", "parent"))
    thread.start()
    calling.wait(SECONDS)

    def work():
        assert answer("a question", "child") == "child"

    try:
        assert succeeds_in_child(work)
    finally:
        done.set()
        thread.join()

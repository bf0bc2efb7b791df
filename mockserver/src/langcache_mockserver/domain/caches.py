"""What the operations on caches do: LangCache semantics on an embedder and a storage backend."""

from __future__ import annotations

import hashlib
import json
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from langcache.engine._steps import run
from langcache.engine.embedders.text_facts import DescribesTexts, RememberedFacts
from langcache.engine.expiry import moment_of_expiry
from langcache.engine.explanation import Explanation, Moments, explanation_of
from langcache.engine.feedback import Feedback, concerns_pair
from langcache.engine.judge import NEAR_MISS, SPARE_CANDIDATES, Choice, Judge, settle
from langcache.engine.storage import CacheEntry, Scope, TopSearch
from langcache.engine.storage.base import has_attributes, reaches, similarity_of
from langcache.engine.verify import Verdict
from langcache_mockserver.domain.batching import Batcher
from langcache_mockserver.domain.conversation import reformulate
from langcache_mockserver.domain.embedding_threads import EmbeddingThreads
from langcache_mockserver.domain.hit_counts import HitCounts
from langcache_mockserver.domain.lookup import Best, Hit, LookupResult, characters_of
from langcache_mockserver.domain.lookups import LookupRecord
from langcache_mockserver.domain.remembered_results import RememberedResults
from langcache_mockserver.domain.verifiers import is_loaded, shared_verifier
from langcache_mockserver.domain.worker_threads import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from langcache.engine.embedders.vector_memory import VectorMemory
    from langcache.engine.explanation import Outcome
    from langcache.engine.feedback import Report
    from langcache.engine.storage import EntryPage, Match, StorageBackend
    from langcache_mockserver.domain.hit_counts import HitCount
    from langcache_mockserver.domain.lookup import Lookup
    from langcache_mockserver.domain.lookups import Lookups
    from langcache_mockserver.domain.worker_threads import WorkerThreads

MOST_CHARACTERS = 8 << 20
"""How many characters of texts the hits of a lookup have; the best hit comes however long it is."""

MOST_VERIFIED = 50
"""How many candidates of a lookup a verifier looks at; so a lookup with one has no more hits."""

_EMBEDDED_TOGETHER = 128  # by `set_many`, before another one has its turn
_MOST_JUDGES = 1024
_REMEMBERED_FACTS = 4096
_LOOP_CANDIDATES = 8
_LOOP_CHARACTERS = 4096
_UNRELATED = 0.6  # to find what is less similar takes longer in a large cache
_LOOP_RESULTS = 100
_RESULTS_AT_FIRST = 128
_MORE_RESULTS = 8  # times as many
_EXACT = Verdict(accepted=True, reason="the prompts are the same, in whatever letter case")
_QUICK_VERIFIERS = frozenset({"off", "rules"})

P = ParamSpec("P")
T = TypeVar("T")


class NewEntry(NamedTuple):
    """An entry to store.

    Attributes:
        prompt: The prompt.
        response: The response to the prompt.
        attributes: Names and values to filter by.
        ttl_millis: How long the entry lives, in milliseconds; None for no limit.
    """

    prompt: str
    response: str
    attributes: Mapping[str, str]
    ttl_millis: float | None = None


class ReportResult(NamedTuple):
    """What became of a report on a hit.

    Attributes:
        recorded: Whether it is kept, and decides about this entry and this prompt from now on.
        entry_deleted: Whether the entry was deleted, as its response is wrong for its own prompt.
    """

    recorded: bool
    entry_deleted: bool


class Caches:
    """The caches of a server. A cache exists as soon as it is named.

    Each cache is a namespace of the storage, so entries of one are never seen through another.

    Prompts are embedded in threads of their own, unless their vectors are in memory. Then the
    storage is used: in the event loop if it says that this is quick, else in a worker thread.
    Searches of one cache at the same time share a batch.

    What a semantic search finds is judged before it is returned, as `SemanticCache` does it.

    Args:
        embedder: Embeds prompts.
        storage: Keeps the entries; it must use the same clock.
        workers: The threads for blocking work.
        default_threshold: The least similarity of a semantic hit if a lookup has none.
        default_verifier: The name of the verifier if a lookup has none.
        clock: Returns the time in seconds since the epoch.
        on_storage: Called after each use of the storage, with the name of the operation (such as
            `search`) and its duration in seconds.
        lookups: Keeps the latest lookups; None to keep none.
    """

    def __init__(
        self,
        *,
        embedder: VectorMemory,
        storage: StorageBackend,
        workers: WorkerThreads,
        default_threshold: float,
        default_verifier: str = "off",
        clock: Callable[[], float] = time.time,
        on_storage: Callable[[str, float], object] | None = None,
        lookups: Lookups | None = None,
    ) -> None:
        self._lookups = lookups
        self._embedder = embedder
        self._model_id = embedder.model_id
        self._storage = storage
        self._workers = workers
        self._default_threshold = default_threshold
        self._default_verifier = default_verifier
        self._clock = clock
        self._on_storage = on_storage
        described = embedder.embedder
        if isinstance(described, DescribesTexts):
            described = RememberedFacts(described, _REMEMBERED_FACTS)
        self._described: object = described
        self._hit_counts = HitCounts()
        self._remembered = RememberedResults(storage, embedder.model_id)
        self._judge_of = lru_cache(_MOST_JUDGES)(self._new_judge)
        self._embeddings = EmbeddingThreads(embedder.embed, WORKERS, workers.max_wait)
        self._searches: Batcher[TopSearch, list[Match]] = Batcher(
            partial(self._timed, "search", storage.search_top_together), workers, WORKERS
        )

    async def set(
        self,
        cache_id: str,
        prompt: str,
        response: str,
        attributes: Mapping[str, str],
        ttl_millis: float | None,
    ) -> str:
        """Store an entry; it replaces one with the same prompt and attributes.

        Args:
            cache_id: The cache.
            prompt: The prompt.
            response: The response to the prompt.
            attributes: Names and values to filter by.
            ttl_millis: How long the entry lives, in milliseconds; None for no limit.

        Returns:
            The id of the entry.
        """
        new = NewEntry(prompt, response, attributes, ttl_millis)
        entry = self._entry(cache_id, new, await self._embed(prompt))
        scope = Scope(cache_id, self._model_id)
        await self._quickly(scope, "store", self._storage.store, entry)
        if self._lookups is not None:
            self._lookups.answered(cache_id, prompt)
        return entry.id

    async def set_many(self, cache_id: str, new: Sequence[NewEntry]) -> list[str]:
        """Store entries, as `set` stores one, and return their ids.

        They are embedded little by little, so that several imports take turns: the short ones
        first, because it takes less time to embed texts of one length together.
        """
        vectors: dict[int, NDArray[np.float32]] = {}
        by_length = sorted(range(len(new)), key=lambda place: len(new[place].prompt))
        for start in range(0, len(new), _EMBEDDED_TOGETHER):
            places = by_length[start : start + _EMBEDDED_TOGETHER]
            prompts = [new[place].prompt for place in places]
            embedded = await self._workers.run_bulk(self._embedder.embed, prompts)
            vectors.update(zip(places, embedded, strict=True))

        def store() -> list[str]:
            entries = [
                self._entry(cache_id, each, vectors[place]) for place, each in enumerate(new)
            ]
            self._timed("store_many", self._storage.store_many, entries)
            return [entry.id for entry in entries]

        return await self._workers.run(store)

    def _entry(self, cache_id: str, new: NewEntry, embedding: NDArray[np.float32]) -> CacheEntry:
        now = self._clock()
        ttl = None if new.ttl_millis is None else new.ttl_millis / 1000
        return CacheEntry(
            id=entry_id_of(new.prompt, new.attributes),
            prompt=new.prompt,
            response=new.response,
            embedding=embedding,
            namespace=cache_id,
            embedding_model_id=self._model_id,
            attributes=new.attributes,
            created_at=now,
            updated_at=now,
            expires_at=moment_of_expiry(now, ttl),
        )

    async def list_entries(
        self,
        cache_id: str,
        *,
        cursor: str = "",
        limit: int,
        newest_first: bool = False,
        attributes: Mapping[str, str] | None = None,
        text: str = "",
    ) -> EntryPage:
        """Return one page of the entries of a cache; see `StorageBackend.list_entries`.

        Raises:
            NotImplementedError: The storage cannot list entries in pages.
            ValueError: The cursor is not one of the storage.
        """
        return await self._in_worker(
            "list_entries",
            self._storage.list_entries,
            cache_id,
            cursor=cursor,
            limit=limit,
            newest_first=newest_first,
            attributes=attributes,
            text=text,
        )

    async def size(self, cache_id: str) -> int:
        """Return the number of entries in a cache."""
        return await self._in_worker("size", self._storage.namespace_size, cache_id)

    def count_hit(self, cache_id: str, entry_id: str) -> None:
        """Count a hit of an entry that was found in another way than by `search`."""
        self._hit_counts.add(cache_id, [entry_id], self._clock())

    def hit_count(self, cache_id: str, entry_id: str) -> HitCount | None:
        """Return how often an entry was a hit; None if that is not known."""
        return self._hit_counts.of(cache_id, entry_id)

    async def search(self, cache_id: str, lookup: Lookup, *, alone: bool = False) -> LookupResult:
        """Find entries for a prompt.

        Args:
            cache_id: The cache.
            lookup: What to find.
            alone: Whether no other request is under way, so that it need not wait for others.
        """
        if self._lookups is None:
            return await self._search(cache_id, lookup, alone=alone)
        started, removals = time.perf_counter(), self._lookups.removals
        result = await self._search(cache_id, lookup, alone=alone)
        self._record(cache_id, lookup, result, time.perf_counter() - started, removals)
        return result

    async def _search(self, cache_id: str, lookup: Lookup, *, alone: bool = False) -> LookupResult:
        result = self._remembered.recall(cache_id, lookup)
        if result is None:
            version = self._remembered.version(cache_id)
            result = await self._find_as_many(cache_id, lookup, alone=alone)
            self._remembered.keep(cache_id, lookup, version, self._feedback(cache_id), result)
        if result.hits:
            ids = [hit.entry.id for hit in result.hits]
            self._hit_counts.add(cache_id, ids, self._clock())
            self._storage.mark_used(cache_id, ids)
        return result

    async def _find_as_many(self, cache_id: str, lookup: Lookup, *, alone: bool) -> LookupResult:
        """Find as many hits as are wanted, a few at first.

        More are read only as long as they may be returned: they might not fit into memory.
        """
        most = lookup.max_results
        asked = min(most, _RESULTS_AT_FIRST)
        some = lookup if asked == most else lookup._replace(max_results=asked)
        result = await self._find(cache_id, some, alone=alone)
        while len(result.hits) == asked < most:
            asked = min(most, asked * _MORE_RESULTS)
            result = await self._find(cache_id, lookup._replace(max_results=asked), alone=alone)
        return result

    async def _find(self, cache_id: str, lookup: Lookup, *, alone: bool) -> LookupResult:
        scope = Scope(cache_id, self._model_id)
        hits: list[Hit] = []
        outcome: Outcome = "miss"
        best: Best | None = None
        failed = False
        for strategy in dict.fromkeys(lookup.strategies):
            if len(hits) >= lookup.max_results:
                break
            # max_results hits of each strategy are enough: those that are known already are no more
            # than those that are there already.
            if strategy == "exact":
                found = await self._exact(scope, lookup)
            else:
                choice = await self._semantic(scope, lookup, alone=alone)
                outcome, best = _settled(choice)
                failed = any(verdict.check == "failure" for _, verdict in choice.judged)
                found = [Hit(each.entry, each.similarity, "semantic") for each in choice.accepted]
            if hits:
                known = {hit.entry.id for hit in hits}
                found = [hit for hit in found if hit.entry.id not in known]
            hits += found
        if not hits:
            return LookupResult(hits, outcome, best, failed)
        return LookupResult(_bounded(hits[: lookup.max_results]), "hit", best, failed)

    async def converse(
        self, cache_id: str, lookup: Lookup, context: Sequence[str]
    ) -> tuple[str, LookupResult]:
        """Find entries for a prompt that may refer to earlier prompts.

        Args:
            cache_id: The cache.
            lookup: What to find.
            context: The earlier prompts of the conversation, oldest first.

        Returns:
            The reformulated prompt that has hits, or else the last one tried; and its result.
        """
        started = time.perf_counter()
        removals = 0 if self._lookups is None else self._lookups.removals
        prompt, result = lookup.prompt, LookupResult([], "miss")
        for prompt in await self._workers.run(reformulate, lookup.prompt, context):
            result = await self._search(cache_id, lookup._replace(prompt=prompt))
            if result.hits:
                break
        if self._lookups is not None:
            tried = lookup._replace(prompt=prompt)
            self._record(cache_id, tried, result, time.perf_counter() - started, removals)
        return prompt, result

    async def explain(self, cache_id: str, lookup: Lookup, most_candidates: int) -> Explanation:
        """Return what a search for a prompt would come to, and why.

        Args:
            cache_id: The cache.
            lookup: What to find; one result.
            most_candidates: How many of the nearest entries to return, at most.
        """
        threshold = self._threshold(lookup)
        name = self._verifier(lookup)
        judge = await self._judge(cache_id, name)
        started = time.perf_counter()
        embedding = await self._embed(lookup.prompt)
        embedded = time.perf_counter()
        scope = Scope(cache_id, self._model_id)
        found = await self._in_worker(
            "search",
            self._storage.search_top,
            embedding,
            *scope,
            0.0,
            limit=max(most_candidates, 1 + SPARE_CANDIDATES),
            attributes=lookup.attributes,
        )
        searched = time.perf_counter()
        verdicts = await self._workers.run(run, judge.judge(lookup.prompt, found))
        verified = time.perf_counter()
        semantic, served = settle(found, verdicts, threshold)
        chosen = None if served is None else served.entry
        outcome: Outcome = "miss"
        for strategy in lookup.strategies:
            if strategy == "exact":
                exact = await self._exact(scope, lookup)
                if exact:
                    outcome, chosen = "hit", exact[0].entry
                    break
            else:
                outcome = semantic
                if chosen is not None:
                    break
        return explanation_of(
            found,
            verdicts,
            outcome=outcome,
            served=chosen if outcome == "hit" else None,
            threshold=threshold,
            verifier=name,
            most=most_candidates,
            moments=Moments(started, embedded, searched, verified),
        )

    async def report(
        self, cache_id: str, prompt: str, entry_id: str, *, right: bool
    ) -> ReportResult | None:
        """Note whether an entry answers a prompt, as `SemanticCache` does it.

        An entry that does not answer its own prompt is deleted.

        Returns:
            What was done; None if there is no such entry.
        """

        def work() -> ReportResult | None:
            entry = self._storage.get(cache_id, entry_id)
            if entry is None:
                return None
            if concerns_pair(prompt, entry.prompt):
                feedback = self._feedback(cache_id)
                run(feedback.add(prompt, entry.prompt, entry.id, right=right))
                return ReportResult(recorded=True, entry_deleted=False)
            if not right:
                self._delete(cache_id, entry_id)
            return ReportResult(recorded=False, entry_deleted=not right)

        return await self._in_worker("report", work)

    async def withdraw(self, cache_id: str, prompt: str, entry_id: str) -> bool:
        """Take back a report on an entry and a prompt; return whether there was one."""

        def work() -> bool:
            entry = self._storage.get(cache_id, entry_id)
            return entry is not None and run(
                self._feedback(cache_id).withdraw(prompt, entry.prompt)
            )

        return await self._in_worker("report", work)

    async def reports(self, cache_id: str) -> list[Report]:
        """Return the reports that count, the latest first."""
        return await self._in_worker("report", run, self._feedback(cache_id).reports())

    async def known(self) -> list[str]:
        """Return the ids of the caches that have entries, as far as the storage can list them."""
        return await self._workers.run(self._storage.namespaces)

    def forget_lookups(self, cache_id: str) -> None:
        """Remove the lookups of a cache that are kept."""
        if self._lookups is not None:
            self._lookups.forget(cache_id)

    async def labelled_lookups(self, cache_id: str) -> list[dict[str, Any]]:
        """Return the lookups of a cache for `langcache tune`, with what users reported as labels.

        There is one row for each prompt and the cached prompt that it found: a pair that came up
        often is one example nevertheless. A report on a pair whose lookup is not kept any more has
        a row, too.

        Returns:
            The rows of a file of lookups, as `langcache.engine.tuning.read_labelled` reads it.
        """
        reports = {
            (report.prompt, report.cached_prompt): report for report in await self.reports(cache_id)
        }
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for kept in [] if self._lookups is None else self._lookups.of_cache(cache_id):
            if kept.similarity is not None:
                # What a report decided says nothing about the verifier.
                accepted = kept.accepted is not False or kept.check == "feedback"
                rows[kept.prompt, kept.cached_prompt] = {
                    "similarity": kept.similarity,
                    "accepted": accepted,
                    "scope": cache_id,
                    "kind": kept.outcome,
                    "probability": kept.probability,
                    "reason": kept.reason,
                    "prompt": kept.prompt,
                    "cached_prompt": kept.cached_prompt,
                    "recorded_at": kept.at,
                }
        for pair, report in reports.items():
            if pair not in rows:
                asked, cached = await self._embed(pair[0]), await self._embed(pair[1])
                rows[pair] = {
                    "similarity": similarity_of(float(asked @ cached)),
                    "scope": cache_id,
                    "prompt": pair[0],
                    "cached_prompt": pair[1],
                    "recorded_at": report.reported_at,
                }
            rows[pair]["label"] = "right" if report.right else "wrong"
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in rows.values()
        ]

    def _record(
        self,
        cache_id: str,
        lookup: Lookup,
        result: LookupResult,
        seconds: float,
        removals: int,
    ) -> None:
        """Keep what a lookup came to."""
        assert self._lookups is not None  # noqa: S101 - whoever calls this has seen it
        hit = result.hits[0] if result.hits else None
        match, verdict = (None, None) if result.best is None else result.best
        if hit is not None and hit.strategy == "exact":
            entry, similarity, verdict = hit.entry, 1.0, _EXACT
        elif match is not None:
            entry, similarity = match.entry, match.similarity
        else:
            entry, similarity = None, None
        now, threshold = self._clock(), self._threshold(lookup)

        def recorded(number: int) -> LookupRecord:
            return LookupRecord(
                number=number,
                cache_id=cache_id,
                at=now,
                prompt=lookup.prompt,
                outcome=result.outcome,
                strategy="semantic" if hit is None else hit.strategy,
                threshold=threshold,
                similarity=similarity,
                entry_id="" if entry is None else entry.id,
                cached_prompt="" if entry is None else entry.prompt,
                attributes={} if entry is None else entry.attributes,
                response_characters=0 if entry is None else len(entry.response),
                accepted=None if verdict is None else verdict.accepted,
                reason="" if verdict is None else verdict.reason,
                check="" if verdict is None else verdict.check,
                probability=None if verdict is None else verdict.probability,
                seconds=seconds,
            )

        self._lookups.add(recorded, removals)

    async def delete(self, cache_id: str, entry_id: str) -> bool:
        """Delete an entry by its id; return whether it was there."""
        return await self._in_worker("delete", self._delete, cache_id, entry_id)

    def _delete(self, cache_id: str, entry_id: str) -> bool:
        was_there = self._storage.delete(cache_id, [entry_id]) > 0
        if was_there:
            run(self._feedback(cache_id).forget([entry_id]))
            if self._lookups is not None:
                self._lookups.forget(cache_id, lambda lookup: lookup.entry_id == entry_id)
        return was_there

    async def delete_by_attributes(self, cache_id: str, attributes: Mapping[str, str]) -> int:
        """Delete the entries that have all these attributes; return how many."""

        def work() -> int:
            count = self._storage.delete_by_attributes(cache_id, attributes)
            if count:  # it is not known which; listing the reports removes those of no entry
                run(self._feedback(cache_id).reports())
                if self._lookups is not None:
                    self._lookups.forget(
                        cache_id,
                        lambda lookup: (
                            bool(lookup.entry_id) and has_attributes(lookup.attributes, attributes)
                        ),
                    )
            return count

        return await self._in_worker("delete_by_attributes", work)

    async def flush(self, cache_id: str) -> None:
        """Delete all entries of a cache."""

        def work() -> None:
            self._storage.invalidate_namespace(cache_id)
            run(self._feedback(cache_id).forget())
            if self._lookups is not None:
                self._lookups.forget(cache_id)

        await self._in_worker("flush", work)

    async def check(self) -> None:
        """Raise the error of the storage if it cannot be used."""
        await self._workers.run_probe(self._storage.namespace_size, "")

    async def _exact(self, scope: Scope, lookup: Lookup) -> list[Hit]:
        entries = await self._quickly(
            scope,
            "find_exact",
            self._storage.find_exact,
            lookup.prompt,
            *scope,
            limit=lookup.max_results,
            attributes=lookup.attributes,
        )
        return [Hit(entry, 1.0, "exact") for entry in entries]

    async def _semantic(self, scope: Scope, lookup: Lookup, *, alone: bool) -> Choice:
        """Return what a semantic search finds, and what of it may be served."""
        threshold = self._threshold(lookup)
        prompt = lookup.prompt
        embedding = await self._embed(prompt)
        verifier = self._verifier(lookup)
        judge = (
            self._judge_of(scope.namespace, verifier)
            if is_loaded(verifier)
            else await self._judge(scope.namespace, verifier)
        )
        limit = lookup.max_results
        if verifier != "off":
            limit = min(limit, MOST_VERIFIED - SPARE_CANDIDATES)
        choice = Choice(threshold, limit, judge.spare)
        submit = self._searches.submit
        while choice.asked:
            is_quick = lookup.max_results <= _LOOP_RESULTS and self._storage.is_quick(scope)
            least = max(0.0, threshold - NEAR_MISS)
            # What is kept of a miss says how far about the nearest entry was.
            nearest = self._lookups is not None
            search = TopSearch(embedding, *scope, least, choice.asked, lookup.attributes, nearest)
            found = await submit(scope.namespace, search, in_loop=is_quick, alone=alone)
            if nearest and not found and not is_quick and least > _UNRELATED:
                search = search._replace(threshold=_UNRELATED)
                found = await submit(scope.namespace, search)
            new = choice.candidates(found)
            if not new:
                choice.add(())
            elif is_quick and _is_quick(verifier, prompt, new):
                verdicts = judge.judge_at_once(prompt, new)
                choice.add(run(judge.judge(prompt, new)) if verdicts is None else verdicts)
            else:
                choice.add(await self._workers.run(run, judge.judge(prompt, new)))
        return choice

    def _threshold(self, lookup: Lookup) -> float:
        return self._default_threshold if lookup.threshold is None else lookup.threshold

    def _verifier(self, lookup: Lookup) -> str:
        return self._default_verifier if lookup.verify is None else lookup.verify

    async def _judge(self, cache_id: str, verifier: str) -> Judge:
        if is_loaded(verifier):
            return self._judge_of(cache_id, verifier)
        return await self._workers.run(self._judge_of, cache_id, verifier)

    def _new_judge(self, cache_id: str, verifier: str) -> Judge:
        return Judge(self._described, shared_verifier(verifier), self._feedback(cache_id))

    def _feedback(self, cache_id: str) -> Feedback:
        return Feedback(self._storage, cache_id, self._clock)

    async def _embed(self, prompt: str) -> NDArray[np.float32]:
        known = self._embedder.recall(prompt)
        return await self._embeddings.embed(prompt) if known is None else known

    async def _quickly(
        self,
        scope: Scope,
        operation: str,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function of the storage in the event loop if that is quick, else in a thread."""
        if self._storage.is_quick(scope):
            return self._timed(operation, function, *args, **kwargs)
        return await self._in_worker(operation, function, *args, **kwargs)

    async def _in_worker(
        self, operation: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of the storage in a worker thread."""
        return await self._workers.run(self._timed, operation, function, *args, **kwargs)

    def _timed(
        self, operation: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of the storage and report its duration."""
        if self._on_storage is None:
            return function(*args, **kwargs)
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            self._on_storage(operation, time.perf_counter() - started)


def _bounded(hits: list[Hit]) -> list[Hit]:
    """Return the first hits, up to `MOST_CHARACTERS`."""
    if len(hits) == 1:
        return hits
    characters = 0
    for count, hit in enumerate(hits):
        characters += characters_of(hit.entry)
        if characters > MOST_CHARACTERS and count:
            return hits[:count]
    return hits


def _is_quick(verifier: str, prompt: str, candidates: Sequence[Match]) -> bool:
    """Return whether judging candidates takes no longer than handing it to a thread, or little so.

    What is equal to the prompt is not given to the verifier.
    """
    count, characters = 0, len(prompt)
    for candidate in candidates:
        other = candidate.entry.prompt
        if other != prompt:
            count += 1
            characters += len(other)
    if not count:
        return True
    return (
        verifier in _QUICK_VERIFIERS
        and count <= _LOOP_CANDIDATES
        and characters <= _LOOP_CHARACTERS
    )


def _settled(choice: Choice) -> tuple[Outcome, Best | None]:
    """Return what a choice comes to, whatever the least similarity of its search, and why."""
    if choice.accepted:
        for match, verdict in choice.judged:
            if verdict.accepted:  # the first one
                return "hit", Best(match, verdict)
    if choice.judged:
        return "rejected", Best(*choice.judged[0])
    if not choice.found:
        return "miss", None
    nearest = choice.found[0]
    is_near = reaches(nearest.similarity, choice.threshold - NEAR_MISS)
    return ("near_miss" if is_near else "miss"), Best(nearest, None)


def entry_id_of(prompt: str, attributes: Mapping[str, str]) -> str:
    """Return the id of an entry: 32 hexadecimal digits that depend on prompt and attributes.

    Without attributes it is the MD5 of the prompt, as in the hosted service; with attributes, the
    MD5 of a JSON array of the prompt and the sorted attributes, so that no two sets of attributes
    are spelled alike. A prompt that looks like such an array is put into one, too.
    """
    identity = prompt
    if attributes or (prompt.startswith('["') and prompt.endswith("]]")):
        identity = json.dumps([prompt, sorted(attributes.items())], ensure_ascii=False)
    return hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()

"""The check of all rules, one by one."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import httpx

from langcache_mockserver.contract.document import OPERATIONS
from langcache_mockserver.contract.errors import DepartureError, FailureError, NotCheckedError
from langcache_mockserver.contract.probe import Probe
from langcache_mockserver.contract.report import Finding, Outcome, Report
from langcache_mockserver.contract.rule import Certainty
from langcache_mockserver.contract.rules import RULES
from langcache_mockserver.contract.target import Target, UnusableError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator, Sequence

    from langcache_mockserver.contract.rule import Rule

_KEY = re.compile(r"[!-~]+")


def check_contract(
    url: str,
    *,
    cache_id: str,
    api_key: str,
    attributes: Sequence[str] = (),
    strategies: Sequence[str] = ("exact", "semantic"),
    other_cache_id: str | None = None,
    forbidden_cache_id: str | None = None,
    strict: bool = False,
    allow_destructive: bool = False,
    wait: bool = True,
    timeout: float = 30.0,
    sleep: Callable[[float], object] = time.sleep,
) -> Report:
    """Check whether a LangCache keeps the contract.

    It stores entries of its own in the cache and deletes them again; it deletes nothing else
    unless it is allowed to.

    Args:
        url: The base URL of the service; `/v1/...` is added to it.
        cache_id: The cache. An empty one is best: other entries can crowd out those of the check.
        api_key: The key; it must be allowed to read and write.
        attributes: Names of attributes that the cache has, two or more to check all rules.
        strategies: The search strategies that the cache has, both to check all rules.
        other_cache_id: A second cache that the key may use, to see that caches are apart.
        forbidden_cache_id: A cache that exists and that the key has no grant for.
        strict: Whether the service must refuse what a development server lets pass: caches, keys
            and attributes that are not declared. Otherwise accepting them is only a note.
        allow_destructive: Whether all entries of the cache may be deleted, to check `flush` and
            `deleteQuery` without attributes.
        wait: Whether to wait for entries to expire, about two seconds.
        timeout: How long to wait for a response, in seconds.
        sleep: Waits for a number of seconds; pass another function if the service's clock can be
            set.

    Returns:
        The findings, rule by rule.

    Raises:
        UnusableError: The service cannot be reached, the cache does not exist, or the key is
            refused.
    """
    target = Target(
        url=url,
        cache_id=cache_id,
        api_key=api_key,
        attributes=tuple(attributes),
        strategies=tuple(strategies),
        other_cache_id=other_cache_id,
        forbidden_cache_id=forbidden_cache_id,
        strict=strict,
        allow_destructive=allow_destructive,
        wait=wait,
        timeout=timeout,
    )
    with _probing(target, sleep) as probe:
        _require_usable(probe)
        findings = [_check(probe, each) for each in RULES]
        findings += [_document_finding(probe, operation) for operation in OPERATIONS]
    return Report(url, cache_id, tuple(findings))


def check_rule(
    rule: Rule, target: Target, *, sleep: Callable[[float], object] = time.sleep
) -> Finding:
    """Check one rule, and that all responses on the way match the document.

    Args:
        rule: The rule.
        target: The LangCache, and what may be done there.
        sleep: Waits for a number of seconds.
    """
    with _probing(target, sleep) as probe:
        finding = _check(probe, rule)
        documented = [_document_finding(probe, operation) for operation in sorted(probe.seen)]
    if finding.outcome is Outcome.OK:
        for each in documented:
            if each.outcome is not Outcome.OK:
                return replace(each, rule=rule.name)
    return finding


@contextmanager
def _probing(target: Target, sleep: Callable[[float], object]) -> Generator[Probe]:
    try:
        client = httpx.Client(verify=_ssl_context(), timeout=target.timeout)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise UnusableError(f"no HTTP client can be made: {type(error).__name__}") from error
    with client:
        yield Probe(target, client, sleep)


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _require_usable(probe: Probe) -> None:
    if not _KEY.fullmatch(probe.target.api_key):
        raise UnusableError("the key must have visible ASCII characters only, and some")
    prompt = probe.unique("Is anybody there, {}?")
    try:
        # Either is enough: a service may lack the one, or break the contract in the other.
        answers = [
            probe.send("health"),
            probe.send("search", {"prompt": prompt}),
        ]
    except (httpx.InvalidURL, DepartureError) as error:
        raise UnusableError(f"{probe.target.url} gives no answer ({error})") from error
    except NotCheckedError as error:
        raise UnusableError(str(error)) from error
    if not any(200 <= answer.status < 300 for answer in answers):
        raise UnusableError(f"the cache cannot be used with the key: {answers[-1].summary}")


def _check(probe: Probe, rule: Rule) -> Finding:
    def finding(outcome: Outcome, expected: str = "", got: str = "", reason: str = "") -> Finding:
        return Finding(rule.name, rule.statement, outcome, expected, got, reason)

    if rule.destructive and not probe.target.allow_destructive:
        reason = "it deletes all entries of the cache, which is not allowed"
        return finding(Outcome.NOT_CHECKED, reason=reason)
    try:
        rule.check(probe)
    except NotCheckedError as error:
        return finding(Outcome.NOT_CHECKED, reason=str(error))
    except DepartureError as error:
        certain = (
            isinstance(error, FailureError)
            or rule.certainty is Certainty.CERTAIN
            or (rule.certainty is Certainty.STRICT and probe.target.strict)
        )
        outcome = Outcome.DEPARTS if certain else Outcome.NOTE
        return finding(outcome, error.expected, error.got)
    finally:
        probe.clean_up()
    return finding(Outcome.OK)


def _document_finding(probe: Probe, operation: str) -> Finding:
    statement = f"The answers to `{operation}` are such as openapi.yaml describes."
    name = f"openapi.{operation}"
    if operation not in probe.seen:
        return Finding(name, statement, Outcome.NOT_CHECKED, reason="it was not called")
    departures = probe.departures[operation]
    if not departures:
        return Finding(name, statement, Outcome.OK)
    expected = "a documented status, its content type and its schema"
    return Finding(name, statement, Outcome.DEPARTS, expected, "; ".join(departures))

"""The configuration file: YAML that declares caches and keys. Errors name the line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from jsonschema_rs import Draft202012Validator, ValidationError

from langcache_mockserver.domain.registry import (
    ANY_CACHE,
    CacheSettings,
    Key,
    RateLimit,
    digest_of,
    grants_of,
    moment,
)
from langcache_mockserver.domain.upstreams import DEFAULT_CACHE, ProxySettings, Upstream
from langcache_mockserver.http.relaxed_limits import LIMITS, relax, relaxed_limits
from langcache_mockserver.http.validation import MAX_FIELD_ERRORS, broken_rules, spell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import yaml

    from langcache_mockserver.settings import Settings

CONFIGURATION_SCHEMA = Path(__file__).with_name("configuration.schema.json")
"""The JSON Schema of a configuration, a file."""

_MOST_VALUES = 100_000
_QUOTED = re.compile(r""" (['"]).{2,}\1""")  # may be a token that is not in quotes
_SHOWN_TAGS = re.compile(r"binary|bool|float|int|map|merge|null|omap|pairs|python/.*|se[qt]|value")

FieldPath: TypeAlias = "Sequence[str | int]"


class ConfigurationError(ValueError):
    """A configuration that cannot be read or is invalid.

    Attributes:
        problems: The errors, one line each: the place (`FILE:LINE`), the field, the rule and the
            value's size.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The declared caches and keys of a server, and the rules that hold.

    Attributes:
        strict: Whether the service's own rules hold: only declared caches, only keys with grants.
        caches: The declared caches.
        keys: The declared keys.
        admin_token: The bearer token of the control plane. A secret: `repr` does not show it.
        generated: Whether that token was generated, so that nobody knows it yet.
        relaxed: The names of the limits that are not enforced, of `limits.LIMITS`.
        proxy: How the caching proxy works, or None if there is none.
    """

    strict: bool
    caches: tuple[CacheSettings, ...] = ()
    keys: tuple[Key, ...] = ()
    admin_token: str = field(repr=False)
    generated: bool
    relaxed: frozenset[str]
    proxy: ProxySettings | None = None


def configuration_of(settings: Settings, given: Mapping[str, Any] | None = None) -> Configuration:
    """Return the configuration of a server.

    Args:
        settings: The settings. Their limits and admin token override those of the file.
        given: The content, in place of the file of the settings.

    Raises:
        ConfigurationError: The configuration cannot be read or is invalid.
    """
    if given is None and not settings.config:
        content: Mapping[str, Any] = {}
        relaxed = relaxed_limits(settings.limits or "published")
    else:
        content, locate = _read(Path(settings.config)) if given is None else (given, _nowhere)
        relaxed = relaxed_limits(settings.limits) if settings.limits else _relaxed(content)
        _check(content, relaxed, locate)
        if "proxy" in content and (settings.proxy_openai or settings.proxy_anthropic):
            problem = "proxy: must not be given beside the settings proxy_openai, proxy_anthropic"
            raise ConfigurationError([f"{locate(['proxy'])}: {problem}"])
    now = moment(time.time())
    token = settings.admin_token or content.get("admin_token")
    if token and digest_of(token) in map(_digest, content.get("keys", ())):
        raise ConfigurationError(["admin_token: must differ from the tokens of all keys"])
    proxy = _proxy(content["proxy"]) if "proxy" in content else _simple_proxy(settings)
    if token and token in _sent_to_upstreams(settings, proxy):
        raise ConfigurationError(["admin_token: must differ from the keys for upstreams"])
    return Configuration(
        strict=settings.strict or given is not None or bool(settings.config),
        caches=tuple(_cache(cache, now) for cache in content.get("caches", ())),
        keys=tuple(_key(index, key, now) for index, key in enumerate(content.get("keys", ()))),
        admin_token=token or secrets.token_urlsafe(32),
        generated=not token,
        relaxed=relaxed,
        proxy=proxy,
    )


def _sent_to_upstreams(settings: Settings, proxy: ProxySettings | None) -> set[str]:
    """Return the keys that the server sends to others."""
    upstreams = () if proxy is None else proxy.upstreams
    return {settings.upstream_key, *(each.key for each in upstreams)}


def _relaxed(content: object) -> frozenset[str]:
    """Return the limits that a configuration relaxes; none if it is invalid."""
    limits = cast("dict[str, object]", content).get("limits") if isinstance(content, dict) else None
    if limits == "relaxed":
        return frozenset(LIMITS)
    if not isinstance(limits, dict):
        return frozenset()
    chosen = cast("dict[str, object]", limits)
    return frozenset(name for name in LIMITS if chosen.get(name) == "relaxed")


def _cache(cache: Mapping[str, Any], now: str) -> CacheSettings:
    return CacheSettings(
        id=cache["id"],
        name=cache.get("name", cache["id"]),
        attributes=tuple(cache.get("attributes", ())),
        default_threshold=cache.get("default_threshold"),
        default_ttl_millis=int(cache.get("default_ttl_millis", -1)),
        search_strategies=tuple(cache.get("search_strategies", ("semantic",))),
        verify=cache.get("verify"),
        created_at=now,
        configured=True,
    )


def _key(index: int, key: Mapping[str, Any], now: str) -> Key:
    limit = key.get("rate_limit")
    return Key(
        id=f"keys[{index}] of the configuration",
        name=key.get("name", ""),
        digest=_digest(key),
        grants=grants_of((grant["cache"], grant["actions"]) for grant in key["grants"]),
        created_at=now,
        rate_limit=RateLimit(int(limit["requests"]), limit["per_seconds"]) if limit else None,
    )


def _proxy(proxy: Mapping[str, Any]) -> ProxySettings:
    return ProxySettings(
        upstreams=tuple(
            Upstream(
                api=each["api"],
                url=each["url"].rstrip("/"),
                models=tuple(each.get("models", ())),
                key=each.get("key") or os.environ.get(each.get("key_env", ""), ""),
            )
            for each in proxy["upstreams"]
        ),
        cache_id=proxy.get("cache", DEFAULT_CACHE),
        shared=proxy.get("scope") == "shared",
        timeout_seconds=proxy.get("timeout_seconds", 600.0),
        budget_seconds=proxy.get("budget_seconds", 0.5),
        max_response_bytes=int(proxy.get("max_response_bytes", 1 << 20)),
    )


def _simple_proxy(settings: Settings) -> ProxySettings | None:
    """Return the proxy of the settings, which passes on the keys of requests."""
    upstreams = (
        Upstream(api="openai", url=settings.proxy_openai.rstrip("/")),
        Upstream(api="anthropic", url=settings.proxy_anthropic.rstrip("/")),
    )
    given = tuple(each for each in upstreams if each.url)
    return ProxySettings(upstreams=given) if given else None


def _digest(key: Mapping[str, Any]) -> str:
    return digest_of(key["token"]) if "token" in key else key["token_sha256"]


def _check(
    content: Mapping[str, Any], relaxed: Collection[str], locate: Callable[[FieldPath], str]
) -> None:
    schema = json.loads(CONFIGURATION_SCHEMA.read_bytes())
    schema["$defs"] = relax(schema["$defs"], relaxed)
    broken = [
        (path, _without_number(error, message))
        for error in Draft202012Validator(schema).iter_errors(content)
        for path, _, message in broken_rules(error)
    ]
    problems = [
        f"{locate(path)}: {f'{spell(path)}: ' if path else ''}{message}"
        for path, message in broken or _contradictions(content)
    ]
    if problems:
        raise ConfigurationError(islice(problems, MAX_FIELD_ERRORS))


def _without_number(error: ValidationError, message: str) -> str:
    """Return a message that does not show a number where there should be none.

    YAML reads a token of digits that is not in quotes as a number.
    """
    kind = error.kind
    if kind.name != "type" or not isinstance(error.instance, float | int):
        return message
    if not {"number", "integer"}.isdisjoint(kind.value):
        return message
    rule = message.rpartition(", got ")[0]
    got = "a boolean" if isinstance(error.instance, bool) else "a number"
    return f"{rule}, got {got}{': put it in quotes' if 'string' in kind.value else ''}"


def _contradictions(content: Mapping[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    """Find errors that a schema cannot find."""
    caches = {ANY_CACHE}
    for index, cache in enumerate(content.get("caches", ())):
        if cache["id"] in caches:
            yield ["caches", index, "id"], "must differ from the ids of earlier caches"
        caches.add(cache["id"])
    digests: set[str] = set()
    admin_token = content.get("admin_token")
    admin_digest = digest_of(admin_token) if admin_token else None
    for index, key in enumerate(content.get("keys", ())):
        digest = _digest(key)
        if digest == admin_digest:
            yield ["keys", index], "must have another token than admin_token"
        if digest in digests:
            yield ["keys", index], "must have another token than earlier keys"
        digests.add(digest)
        for grant_index, grant in enumerate(key["grants"]):
            if grant["cache"] not in caches:
                path = ["keys", index, "grants", grant_index, "cache"]
                yield path, f"must be the id of a declared cache, or {ANY_CACHE}"
    yield from _contradictions_of_proxy(content.get("proxy", {}), caches)


def _contradictions_of_proxy(
    proxy: Mapping[str, Any], caches: Collection[str]
) -> Iterator[tuple[FieldPath, str]]:
    if proxy.get("cache", ANY_CACHE) not in caches or proxy.get("cache") == ANY_CACHE:
        yield ["proxy", "cache"], "must be the id of a declared cache"
    for index, upstream in enumerate(proxy.get("upstreams", ())):
        path = ["proxy", "upstreams", index]
        if "key_env" in upstream and not os.environ.get(upstream["key_env"]):
            yield [*path, "key_env"], "must be a variable that is set"
        has_key = "key" in upstream or "key_env" in upstream
        if has_key and "cache" not in proxy:
            yield path, "must have no key without proxy.cache, on which clients' keys have grants"
        if not has_key and proxy.get("scope") == "shared":
            # A hit skips the check of a key by the upstream.
            yield path, "must have a key with proxy.scope shared, as nobody else checks clients"


def _nowhere(_path: FieldPath) -> str:
    return "the configuration"


def _read(file: Path) -> tuple[Mapping[str, Any], Callable[[FieldPath], str]]:
    """Return the content of a file, and a function that returns the place of a field."""
    import yaml

    try:
        loader = yaml.SafeLoader(file.read_bytes())
        root = loader.get_single_node()
        if root is not None and _size_of(root, {}) > _MOST_VALUES:
            raise ConfigurationError([f"{file}: must have at most {_MOST_VALUES} values"])
        content: Any = None if root is None else _plain(root, loader)
    except OSError as error:
        raise ConfigurationError([f"{file}: cannot be read: {error.strerror}"]) from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = _QUOTED.sub("", error.problem or "a mistake")
        raise ConfigurationError([f"{file}{line}: must be plain YAML: {problem}"]) from None
    except yaml.YAMLError:
        raise ConfigurationError(
            [f"{file}: must be YAML, got something that is not text"]
        ) from None
    except RecursionError:
        raise ConfigurationError([f"{file}: must not be nested so deeply"]) from None

    def locate(path: FieldPath) -> str:
        return f"{file}:{_line(root, path)}"

    return {} if content is None else content, locate


def _size_of(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Return the number of values in a node, those of aliases counted each time."""
    from yaml import MappingNode, SequenceNode

    size = known.get(node)
    if size is None:
        size = 1
        if isinstance(node, SequenceNode):
            size += sum(_size_of(item, known) for item in node.value)
        elif isinstance(node, MappingNode):
            size += sum(_size_of(value, known) for _, value in node.value)
        known[node] = size
    return size


def _plain(node: yaml.Node, loader: yaml.SafeLoader) -> Any:
    """Return the value of a node: a JSON value, and nothing ambiguous."""
    from yaml import MappingNode, ScalarNode, SequenceNode
    from yaml.constructor import ConstructorError

    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, SequenceNode) and kind == "seq":
        return [_plain(item, loader) for item in node.value]
    if isinstance(node, MappingNode) and kind == "map":
        members: dict[str, Any] = {}
        for name, value in node.value:
            if name.tag != "tag:yaml.org,2002:str":
                raise ConstructorError(None, None, "a name must be text", name.start_mark)
            if name.value in members:
                raise ConstructorError(None, None, "a name is given twice", name.start_mark)
            members[name.value] = _plain(value, loader)
        return members
    if isinstance(node, ScalarNode):
        if kind in {"str", "timestamp"}:
            return node.value
        if kind in {"bool", "float", "int", "null"}:
            with contextlib.suppress(ValueError):  # such as from `!!int x`
                return cast("Any", loader).construct_object(node)
    shown = f"!!{kind}" if _SHOWN_TAGS.fullmatch(kind) else "this tag"
    raise ConstructorError(None, None, f"{shown} is not possible here", node.start_mark)


def _line(root: yaml.Node | None, path: FieldPath) -> int:
    """Return the line, counted from 1, of a field or of its nearest parent."""
    from yaml import MappingNode

    if root is None:
        return 1
    node, line = root, root.start_mark.line
    for step in path:
        if isinstance(node, MappingNode):
            found = [(name, value) for name, value in node.value if name.value == step]
        else:
            found = [(item, item) for item in node.value[step:][:1]]
        if not found:
            break
        ((name, node),) = found
        line = name.start_mark.line
    return line + 1

"""A LangCache server in a thread of this process, for tests and examples."""

from __future__ import annotations

from collections.abc import Mapping
from os import fspath
from typing import TYPE_CHECKING, Any

from langcache_mockserver.app import create_app
from langcache_mockserver.background import Background
from langcache_mockserver.configuration import configuration_of
from langcache_mockserver.http.request import is_loopback
from langcache_mockserver.http.uvicorn_server import listen
from langcache_mockserver.planes.service import service_in
from langcache_mockserver.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.controls.clock import Clock
    from langcache_mockserver.controls.faults import Faults
    from langcache_mockserver.controls.journal import Journal
    from langcache_mockserver.controls.recording import Recording
    from langcache_mockserver.controls.server_controls import Controls
    from langcache_mockserver.controls.state import Dump, SeedEntry


class MockServer:
    """A LangCache server in a thread of this process, for tests and examples.

    ```python
    with MockServer() as server:
        client = LangCache(server.url, api_key="any", cache_id="any")
    ```

    The server accepts connections from the beginning of the `with` block to its end. Every block
    starts with empty caches, unless you pass a storage.

    A client can also reach the server without a socket:

    ```python
    with MockServer(listen=False) as server:
        client = LangCache(
            server.url, "any", "any", client=server.client(), async_client=server.async_client()
        )
    ```

    Args:
        listen: Whether to accept connections. If not, host and port have no effect.
        host: The name or address to listen on.
        port: The TCP port to listen on; 0 for any free one.
        default_threshold: The similarity threshold, `(1 + cosine) / 2`, of semantic searches that
            do not set one.
        verify: The check of the matches of semantic searches; see `Settings.verify`.
        max_body_bytes: The largest request body to accept, in bytes.
        embedder: Embeds prompts; by default the MiniLM embedder that the servers of a process
            share.
        storage: Keeps the entries: a string, in the forms of `Settings.storage`; or an object,
            which must use the same clock and is yours to close.
        clock: Returns the time in seconds since the epoch, for the TTL of entries; by default a
            `Clock`, available as `clock`, or the system's clock if `storage` is an object.
        test_controls: Whether there are test controls; see `Settings.test_controls`. Here, `auto`
            does not depend on the strict rules.
        strict: Whether only declared caches, keys with grants and declared attributes are accepted.
        config: The path of a configuration file, or its content; turns the strict rules on.
        limits: The limits of the published API to enforce, in the forms of `Settings.limits`.
        admin_token: The bearer token of the control plane; by default a generated one.
        record_lookups: How many of the latest lookups to keep; see `Settings.record_lookups`.

    Raises:
        ConfigurationError: The configuration cannot be read or is invalid.
        SettingsError: An option is invalid.
    """

    def __init__(
        self,
        *,
        listen: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        default_threshold: float = 0.9,
        verify: str = "off",
        max_body_bytes: int = 1 << 20,
        embedder: Embedder | None = None,
        storage: StorageBackend | str = "memory",
        clock: Callable[[], float] | None = None,
        test_controls: str = "auto",
        strict: bool = False,
        config: str | PathLike[str] | Mapping[str, Any] | None = None,
        limits: str = "",
        admin_token: str = "",
        record_lookups: str | int = "auto",
    ) -> None:
        given = config if isinstance(config, Mapping) else None
        if test_controls == "auto" and is_loopback(host):
            test_controls = "local"  # whoever starts this server in a test asks for them
        self._settings = Settings(
            host=host,
            port=port,
            storage=storage if isinstance(storage, str) else "memory",
            # Whoever starts this server in a test asks for them.
            test_controls="local"
            if test_controls == "auto" and is_loopback(host)
            else test_controls,
            default_threshold=default_threshold,
            verify=verify,
            max_body_bytes=max_body_bytes,
            strict=strict,
            config="" if config is None or isinstance(config, Mapping) else fspath(config),
            limits=limits,
            max_wait_seconds=0,  # a test on a busy machine is slow, but not refused
            admin_token=admin_token,
            record_lookups=record_lookups,
        )
        self._configuration = configuration_of(self._settings, given)
        self._embedder = embedder
        self._storage = None if isinstance(storage, str) else storage
        self._clock = clock
        self._listens = listen
        self._background: Background | None = None

    @property
    def url(self) -> str:
        """The base URL of the server.

        Raises:
            RuntimeError: The server is not running.
        """
        return self._running.url

    @property
    def faults(self) -> Faults:
        """The faults to inject: `server.faults.add(operation="search", status=503, times=2)`.

        Raises:
            RuntimeError: The server is not running, or has no test controls.
        """
        return self._controls.faults

    @property
    def journal(self) -> Journal:
        """The requests so far: `server.journal.count(operation="set")`.

        Raises:
            RuntimeError: The server is not running, or has no test controls.
        """
        return self._controls.journal

    @property
    def clock(self) -> Clock:
        """The clock: `server.clock.advance(60)`.

        Raises:
            RuntimeError: The server is not running or has no test controls; or you passed a storage
                or a clock that is not a `Clock`.
        """
        return self._controls.clock

    @property
    def recording(self) -> Recording:
        """Recorded responses of another LangCache: `server.recording.replay("answers.jsonl")`.

        Raises:
            RuntimeError: The server is not running, or has no test controls.
        """
        return self._controls.recording

    def seed(self, entries: Iterable[SeedEntry], cache_id: str | None = None) -> list[str]:
        """Store entries: `server.seed([{"prompt": "p", "response": "r"}], "my-cache")`.

        Args:
            entries: The entries, with members as in the API.
            cache_id: The cache of entries without `cacheId`.

        Returns:
            Their ids.

        Raises:
            RuntimeError: The server is not running, or has no test controls.
            ValueError: An entry has no cache. Nothing has changed then.
        """
        return self._controls.state.seed(entries, cache_id)

    def reset(self, cache_id: str | None = None) -> None:
        """Remove the entries of one cache; or bring everything back to its initial state.

        Raises:
            RuntimeError: The server is not running, or has no test controls.
        """
        if cache_id is None:
            self._controls.reset()
        else:
            self._controls.state.reset(cache_id)

    def dump(self, *, vectors: bool = True) -> Dump:
        """Return the whole state, as JSON values: entries, declared caches, keys, clock.

        Args:
            vectors: Whether to include the vectors. Without them, `load` embeds the prompts again.

        Raises:
            RuntimeError: The server is not running, or has no test controls.
        """
        return self._controls.dump(vectors=vectors)

    def load(self, dump: Dump) -> None:
        """Replace the whole state by that of a dump; the clock only if it was frozen.

        Raises:
            RuntimeError: The server is not running, or has no test controls; or the clock of the
                dump was frozen, and that of this server cannot be controlled.
            ValueError: The dump is invalid. Nothing has changed then.
        """
        self._controls.load(dump)

    def client(self) -> httpx.Client:
        """Return an HTTP client that reaches the server without a socket, for blocking calls.

        It need not be closed, and any thread may use it. A connection that a fault resets raises
        `httpx.ReadError`, and a truncated response `httpx.RemoteProtocolError`, as over a network.
        Read timeouts work, too.

        Raises:
            RuntimeError: The server is not running.
        """
        import httpx  # here, because the command line does not need it

        from langcache_mockserver.transports import Transport

        background = self._running
        return httpx.Client(
            transport=Transport(background), base_url=background.url, trust_env=False
        )

    def async_client(self) -> httpx.AsyncClient:
        """Return an HTTP client like `client`, for async calls in any event loop (asyncio, trio).

        Raises:
            RuntimeError: The server is not running.
        """
        import httpx

        from langcache_mockserver.transports import AsyncTransport

        background = self._running
        return httpx.AsyncClient(
            transport=AsyncTransport(background), base_url=background.url, trust_env=False
        )

    @property
    def admin_token(self) -> str:
        """The bearer token of the control plane."""
        return self._configuration.admin_token

    def __enter__(self) -> Self:
        """Start the server; it accepts connections when this returns.

        Raises:
            OSError: The server cannot listen on the address.
            RuntimeError: The server is running already, or did not start; the log has the reason.
        """
        if self._background is not None:
            raise RuntimeError("the server is already running")
        app = create_app(
            self._settings,
            embedder=self._embedder,
            storage=self._storage,
            clock=self._clock,
            configuration=self._configuration,
        )
        listener = None
        if self._listens:
            listener = listen(self._settings.host, self._settings.port)
        background = Background(app, listener, self._settings.host)
        background.start()
        self._background = background
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server, after the requests under way."""
        if self._background is not None:
            background, self._background = self._background, None
            background.stop()

    @property
    def _running(self) -> Background:
        if self._background is None:
            raise RuntimeError("the server is not running: use it in a with statement")
        return self._background

    @property
    def _controls(self) -> Controls:
        controls = service_in(self._running.app).controls
        if controls is None:
            raise RuntimeError(
                "the server has no test controls: test_controls is off, or it is auto "
                "and the host is not a loopback address"
            )
        return controls

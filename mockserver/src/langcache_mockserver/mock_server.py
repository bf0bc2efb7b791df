"""A LangCache server in a thread of this process, for tests and examples."""

from __future__ import annotations

from collections.abc import Mapping
from os import fspath
from typing import TYPE_CHECKING, Any

from langcache_mockserver.app import create_app
from langcache_mockserver.background import Background
from langcache_mockserver.configuration import configuration_of
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
    from langcache_mockserver.controls.controls import Controls
    from langcache_mockserver.controls.faults import Faults
    from langcache_mockserver.controls.journal import Journal
    from langcache_mockserver.controls.recording import Recording
    from langcache_mockserver.controls.state import Dump, SeedEntry


class MockServer:
    """A LangCache server in a thread of this process, for tests and examples.

    ```python
    with MockServer() as server:
        client = LangCache(server.url, api_key="any", cache_id="any")
    ```

    The server accepts connections when the `with` block begins, and has let go of its port when
    the block ends. Every block starts with empty caches, unless it is given a storage.

    A client can also reach it without a socket:

    ```python
    with MockServer(listen=False) as server:
        client = LangCache(
            server.url, "any", "any", client=server.client(), async_client=server.async_client()
        )
    ```

    Args:
        listen: Whether to accept connections. If not, host and port don't count.
        host: The name or address to listen on.
        port: The TCP port to listen on; 0 takes any free one.
        default_threshold: The least similarity, `(1 + cosine) / 2`, of a semantic match where a
            search names none.
        max_body_bytes: The largest request body accepted, in bytes.
        embedder: Turns prompts into vectors; by default the MiniLM that the servers of a process
            share.
        storage: Keeps the entries: a setting, in the forms of `Settings.storage`; or an object,
            which must live by the same clock and stays open when the server stops.
        clock: Gives the time in seconds since the epoch, for the TTL of entries; by default a
            `Clock`, which is there as `clock`, or the system's where `storage` is an object.
        test_controls: Whether there are test controls, as `Settings.test_controls` has it.
        strict: Whether only declared caches, keys with grants and declared attributes will do.
        config: The path of a configuration file, or what it would say; turns the strict rules on.
        limits: Which limits of the published API hold, in the forms of `Settings.limits`.
        admin_token: The bearer token of the control plane; by default one is made.

    Raises:
        ConfigurationError: The configuration can't be read or breaks rules.
        SettingsError: An option breaks its rule.
    """

    def __init__(
        self,
        *,
        listen: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        default_threshold: float = 0.9,
        max_body_bytes: int = 1 << 20,
        embedder: Embedder | None = None,
        storage: StorageBackend | str = "memory",
        clock: Callable[[], float] | None = None,
        test_controls: str = "auto",
        strict: bool = False,
        config: str | PathLike[str] | Mapping[str, Any] | None = None,
        limits: str = "",
        admin_token: str = "",
    ) -> None:
        given = config if isinstance(config, Mapping) else None
        self._settings = Settings(
            host=host,
            port=port,
            storage=storage if isinstance(storage, str) else "memory",
            test_controls=test_controls,
            default_threshold=default_threshold,
            max_body_bytes=max_body_bytes,
            strict=strict,
            config="" if config is None or isinstance(config, Mapping) else fspath(config),
            limits=limits,
            admin_token=admin_token,
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
            RuntimeError: The server isn't running.
        """
        return self._running.url

    @property
    def faults(self) -> Faults:
        """What is to go wrong: `server.faults.add(operation="search", status=503, times=2)`.

        Raises:
            RuntimeError: The server isn't running, or has no test controls.
        """
        return self._controls.faults

    @property
    def journal(self) -> Journal:
        """What has been asked: `server.journal.count(operation="set")`.

        Raises:
            RuntimeError: The server isn't running, or has no test controls.
        """
        return self._controls.journal

    @property
    def clock(self) -> Clock:
        """The time: `server.clock.advance(60)`.

        Raises:
            RuntimeError: The server isn't running, has no test controls, or was given a clock that
                is not a `Clock`, or a storage without one.
        """
        return self._controls.clock

    @property
    def recording(self) -> Recording:
        """What another LangCache has answered: `server.recording.replay("answers.jsonl")`.

        Raises:
            RuntimeError: The server isn't running, or has no test controls.
        """
        return self._controls.recording

    def seed(self, entries: Iterable[SeedEntry], cache_id: str | None = None) -> list[str]:
        """Store entries: `server.seed([{"prompt": "p", "response": "r"}], "my-cache")`.

        Args:
            entries: The entries, with members as in the API.
            cache_id: The cache of those that name none as `cacheId`.

        Returns:
            Their ids.

        Raises:
            RuntimeError: The server isn't running, or has no test controls.
            ValueError: An entry has no cache. Nothing has changed then.
        """
        return self._controls.state.seed(entries, cache_id)

    def reset(self, cache_id: str | None = None) -> None:
        """Remove the entries of one cache; or bring everything back to how it began.

        Raises:
            RuntimeError: The server isn't running, or has no test controls.
        """
        if cache_id is None:
            self._controls.reset()
        else:
            self._controls.state.reset(cache_id)

    def dump(self, *, vectors: bool = True) -> Dump:
        """Return the whole state, as JSON has it: entries, declared caches, keys, clock.

        Args:
            vectors: Whether to include the vectors. Without them, loading embeds again.

        Raises:
            RuntimeError: The server isn't running, or has no test controls.
        """
        return self._controls.dump(vectors=vectors)

    def load(self, dump: Dump) -> None:
        """Replace the whole state by that of a dump; the clock only where it stood still.

        Raises:
            RuntimeError: The server isn't running, or has no test controls; or the clock of the
                dump stood still, and that of this server can't be controlled.
            ValueError: The dump can't be loaded. Nothing has changed then.
        """
        self._controls.load(dump)

    def client(self) -> httpx.Client:
        """Return an HTTP client that reaches the server without a socket, for blocking calls.

        It holds nothing that must be closed, and may be used from any thread. A connection that a
        fault resets is an `httpx.ReadError`, and a truncated answer an `httpx.RemoteProtocolError`,
        as they are over a network; read timeouts hold, too.

        Raises:
            RuntimeError: The server isn't running.
        """
        import httpx  # not at the top: the command line has no use for it

        from langcache_mockserver.transports import Transport

        background = self._running
        return httpx.Client(
            transport=Transport(background), base_url=background.url, trust_env=False
        )

    def async_client(self) -> httpx.AsyncClient:
        """Return an HTTP client as `client` does, for async calls in any loop of asyncio or trio.

        Raises:
            RuntimeError: The server isn't running.
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
            OSError: The address can't be listened on.
            RuntimeError: The server is running already, or didn't start; the log says why.
        """
        if self._background is not None:
            raise RuntimeError("the server is running already")
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
            raise RuntimeError("the server isn't running: use it in a with statement")
        return self._background

    @property
    def _controls(self) -> Controls:
        controls = service_in(self._running.app).controls
        if controls is None:
            raise RuntimeError(
                "the server has no test controls: test_controls is off, or auto "
                "and the host not a loopback address"
            )
        return controls

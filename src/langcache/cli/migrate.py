"""The command `langcache migrate`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, cast

import typer

from langcache.cli.local_target import open_storage, without_engine
from langcache.cli.options import fail
from langcache.cli.target import USAGE, TargetError

if TYPE_CHECKING:
    from langcache.engine.storage.redis import RedisStorage


def migrate(
    storage: Annotated[
        str,
        typer.Option(metavar="NAME", help="The storage: sqlite:PATH or the URL of a Redis."),
    ],
    embedder: Annotated[
        str, typer.Option(metavar="NAME", help="The embedder whose vectors the entries get.")
    ] = "minilm",
    from_model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="A model whose entries are embedded anew; may be repeated. By default the "
            "earlier releases of minilm.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how many entries wait, and change nothing.")
    ] = False,
) -> None:
    """Bring what an earlier release has stored to today's model and format.

    Entries of another model are never found. This command gives them the vectors of
    the embedder; ids, responses and times stay. In a Redis, it also moves entries that
    have an earlier format or prefix. It can be stopped and run again. Stop whatever uses
    the storage first.

    Exit status: 0, or 2 if an argument is wrong, 3 if the storage cannot be used.

    Examples:
        langcache migrate --storage sqlite:faq.db
    """
    try:
        from langcache_minilm import PREVIOUS_MODEL_IDS

        from langcache.engine import EmbedderError
        from langcache.engine.embedders import create_embedder
        from langcache.engine.migration import embed_anew, model_sizes
        from langcache.engine.storage import StorageError
        from langcache.engine.storage.create import is_redis_url
    except ImportError as error:
        fail(without_engine(error))
    try:
        wanted = create_embedder(embedder)
    except (ImportError, ValueError) as error:
        fail(TargetError(f"--embedder: {str(error).removeprefix('embedder: ')}", USAGE))
    try:
        opened = open_storage(storage)
    except TargetError as error:
        fail(error)
    models = set(from_model or PREVIOUS_MODEL_IDS) - {wanted.model_id}
    with contextlib.closing(opened):
        try:
            if is_redis_url(storage) and not dry_run:
                moved = cast("RedisStorage", opened).migrate(
                    lambda done: typer.echo(f"brought to this format: {done:,} entries", err=True)
                )
                typer.echo(f"{moved.entries:,} entries were brought to this format")
                if moved.skipped:
                    typer.echo(f"{moved.skipped:,} entries are damaged, and stay as they are")
            sizes = model_sizes(opened)
            waiting = sum(sizes[each] for each in models)
            for model, number in sorted(sizes.items()):
                state = "wait" if model in models else "are left as they are"
                typer.echo(f"{model}: {number:,} entries {state}")

            def show(done: int) -> None:
                typer.echo(f"embedded anew: {done:,} of {waiting:,}", err=True)

            if waiting and not dry_run:
                done = embed_anew(opened, wanted, models, show)
                typer.echo(f"{done:,} entries have the model {wanted.model_id} now")
        except (StorageError, EmbedderError) as error:
            fail(TargetError(str(error)))

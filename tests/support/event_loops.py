"""Closing an event loop that a test has run step by step."""

import asyncio


def close(loop):
    """Close a loop as `asyncio.run` does: end its tasks and asynchronous generators first.

    A generator that was left before its end is closed by a task, which the loop only starts when
    it runs again. `asyncio.Runner` does the same, but Python 3.10 has none.
    """

    async def end():
        await asyncio.sleep(0)  # starts those tasks
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            _, endless = await asyncio.wait(tasks, timeout=0.1)
            for task in endless:
                task.cancel()
            await asyncio.gather(*endless, return_exceptions=True)
        await loop.shutdown_asyncgens()

    loop.run_until_complete(end())
    loop.close()

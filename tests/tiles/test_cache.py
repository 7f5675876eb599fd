"""The cache keeps to its bytes; identical work runs once and ends when nobody waits."""

from __future__ import annotations

import asyncio

import pytest

from tiles.cache import ENTRY_OVERHEAD_BYTES, EncodedTile, SingleFlight, TileCache, compress


def test_cache_stays_within_its_bytes_and_drops_the_least_used() -> None:
    size = 1000
    cache = TileCache(limit=3 * (size + ENTRY_OVERHEAD_BYTES))
    for name in "abc":
        cache.put(name, EncodedTile(bytes(size), gzipped=False))
    assert cache.get("a") is not None
    cache.put("d", EncodedTile(bytes(size), gzipped=False))
    assert cache.get("b") is None
    assert all(cache.get(name) is not None for name in "acd")
    assert cache.used <= cache.limit
    cache.put("a", EncodedTile(b"", gzipped=False))
    assert cache.used == 2 * size + 3 * ENTRY_OVERHEAD_BYTES
    cache.put("huge", EncodedTile(bytes(cache.limit), gzipped=False))
    assert cache.get("huge") is None
    assert len(cache) == 3


def test_a_limit_of_zero_keeps_nothing() -> None:
    cache = TileCache(limit=0)
    cache.put("a", EncodedTile(b"", gzipped=False))
    assert (len(cache), cache.used) == (0, 0)


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_compression_is_deterministic_and_exact(size: int) -> None:
    body = bytes(n * n % 251 for n in range(size))

    async def both() -> tuple[EncodedTile, EncodedTile]:
        return await compress(body), await compress(body)

    first, second = asyncio.run(both())
    assert first == second
    assert first.gzipped
    assert first.plain() == body


def test_identical_work_runs_once() -> None:
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.02)
        return runs

    async def scenario() -> list[int]:
        flights: SingleFlight[int] = SingleFlight()
        answers = await asyncio.gather(*(flights.run("k", work) for _ in range(50)))
        assert len(flights) == 0
        return [*answers, await flights.run("k", work)]

    assert asyncio.run(scenario()) == [1] * 50 + [2]


def test_work_goes_on_while_somebody_waits_and_ends_with_the_last() -> None:
    ended: list[str] = []

    async def work() -> str:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("done")
        return "tile"

    async def leave_after(flights: SingleFlight[str], seconds: float) -> None:
        waiting = asyncio.ensure_future(flights.run("k", work))
        await asyncio.sleep(seconds)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def one_stays() -> str:
        flights: SingleFlight[str] = SingleFlight()
        answer, _ = await asyncio.gather(flights.run("k", work), leave_after(flights, 0.01))
        return answer

    async def all_leave() -> None:
        flights: SingleFlight[str] = SingleFlight()
        await asyncio.gather(leave_after(flights, 0.01), leave_after(flights, 0.02))
        assert len(flights) == 0

    assert asyncio.run(one_stays()) == "tile"
    assert ended == ["done"]
    asyncio.run(all_leave())
    assert ended == ["done", "cancelled"]


def test_a_failure_reaches_all_who_wait() -> None:
    async def work() -> str:
        await asyncio.sleep(0.01)
        raise LookupError("gone")

    async def scenario() -> list[str | BaseException]:
        flights: SingleFlight[str] = SingleFlight()
        waiting = (flights.run("k", work) for _ in range(3))
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(scenario())] == [LookupError] * 3

"""How often one may ask. Counted in this process, or in Redis for all processes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.server.problems import ApiError

__all__ = ["Allowance", "Limiter"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a caller stands, by the tightest of its limits.

    Attributes:
        limit: requests in the window.
        remaining: of them.
        reset: when the window ends, in seconds since 1970.
        allowed: whether this request was within.
    """

    limit: int
    remaining: int
    reset: float
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        """``X-RateLimit-*``, and ``Retry-After`` when refused."""
        shown = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.reset)),
        }
        if not self.allowed:
            shown["Retry-After"] = str(max(1, math.ceil(self.reset - time.time())))
        return shown


class Limiter:
    """Fixed windows of a minute and an hour, by key.

    Args:
        redis_url: where to count; in memory, for each process by itself, when empty.
    """

    def __init__(self, redis_url: str = "") -> None:
        address = f"async+{redis_url}" if redis_url else "async+memory://"
        # The library's default client for asyncio is another package; ours is the one of the extra.
        options = {"implementation": "redispy"} if redis_url else {}
        try:
            self._storage = storage_from_string(address, **options)
        except (ConfigurationError, ModuleNotFoundError) as error:
            message = (
                f"GUARDRAILS_REDIS_URL: {type(error).__name__}: expected redis://host:port/number and the extra redis"
            )
            raise ConfigError(message) from None
        self._strategy = FixedWindowRateLimiter(self._storage)

    async def hit(self, key: str, *, per_minute: int, per_hour: int = 0) -> Allowance | None:
        """Count a request.

        Args:
            key: who asks.
            per_minute: limit; 0 for none.
            per_hour: limit; 0 for none.

        Returns:
            The allowance, or None when there is no limit.

        Raises:
            ApiError: 503, the counters cannot be reached. Without them there would be no limits, so nobody is let in.
        """
        try:
            return await self._tightest(key, per_minute, per_hour)
        except self._storage.base_exceptions:
            raise ApiError(503, "The counters of requests cannot be reached; try again later.") from None

    async def _tightest(self, key: str, per_minute: int, per_hour: int) -> Allowance | None:
        items: list[RateLimitItem] = []
        items += [RateLimitItemPerMinute(per_minute)] if per_minute else []
        items += [RateLimitItemPerHour(per_hour)] if per_hour else []
        tightest: Allowance | None = None
        for item in items:
            allowed = await self._strategy.hit(item, key)
            reset, remaining = await self._strategy.get_window_stats(item, key)
            here = Allowance(item.amount, max(0, remaining), reset, allowed)
            if tightest is None or not allowed or (tightest.allowed and here.remaining < tightest.remaining):
                tightest = here
            if not allowed:
                break
        return tightest

    async def close(self) -> None:
        """Give the connections back."""
        connections = getattr(getattr(self._storage, "bridge", None), "storage", None)
        if connections is not None:
            await connections.aclose()

    async def answers(self) -> bool:
        """Whether the counters can be reached."""
        return bool(await self._storage.check())  # type: ignore[misc]

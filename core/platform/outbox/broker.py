"""Redis as the broker, which may go away: Kombu's transport, and the one thing it gets wrong."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError


class Channel(redis.Channel):
    """A channel that says of a lost connection that it is lost.

    What a worker holds when the broker dies, it acknowledges or gives back over a channel that
    Kombu has taken apart already. Kombu 5.7 then stumbles over ``None``: an ``AttributeError``,
    which nobody expects there, and for which Celery ends the worker. An error of the connection is
    what both know how to live with; the rows come again from the outbox.
    """

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the channel's connection is gone")
        return super()._connparams(*args, **kwargs)


def use() -> None:
    """Let the connections of this process to Redis have such channels."""
    redis.Transport.Channel = Channel

"""Posting updates to webhooks, in order for each bot, until they are taken."""

from __future__ import annotations

import threading
import time

import httpx

from plugins.telegram_bot.simulator.world import Bot, World

PAUSE = 1.0
"""Seconds before an update that was refused is tried again."""


class Delivery(threading.Thread):
    """One thread posts for all bots: a simulator has few."""

    def __init__(self, world: World) -> None:
        super().__init__(name="webhook-delivery", daemon=True)
        self._world = world
        self._pause: dict[str, float] = {}
        self._over = threading.Event()

    def stop(self) -> None:
        """End the thread after the post at hand."""
        self._over.set()
        with self._world.changed:
            self._world.changed.notify_all()

    def run(self) -> None:
        """Post what is pending, then wait for more."""
        with httpx.Client(timeout=10) as client:
            while not self._over.is_set():
                with self._world.changed:
                    self._world.changed.wait_for(
                        lambda: self._over.is_set() or self._due(), PAUSE / 4
                    )
                    due = self._due()
                for bot in due:
                    self._post(client, bot)

    def _due(self) -> list[Bot]:
        now = time.monotonic()
        return [
            bot
            for bot in self._world.bots.values()
            if bot.webhook and bot.updates and self._pause.get(bot.token, 0) <= now
        ]

    def _post(self, client: httpx.Client, bot: Bot) -> None:
        webhook, update = bot.webhook, bot.updates[0]
        if webhook is None:
            return
        headers = {}
        if webhook.secret_token:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook.secret_token
        try:
            response = client.post(webhook.url, json=update, headers=headers)
            problem = "" if response.is_success else f"Wrong response: {response.status_code}"
        except httpx.HTTPError as error:
            problem = type(error).__name__
        with self._world.change():
            webhook.last_error = problem
            if problem:
                self._pause[bot.token] = time.monotonic() + PAUSE
            elif update in bot.updates:
                bot.updates.remove(update)

// Watches a payment until its outcome is known, then shows it. Without this the page still has its
// button, and reloads itself by <noscript>.
(() => {
  const box = document.querySelector("[data-watch]");
  if (!box) return;
  const slow = box.querySelector("[data-watch-slow]");
  const started = Date.now();
  let asking = false;
  let wait = 1500;
  let timer = setTimeout(ask, wait);

  async function ask() {
    asking = true;
    try {
      const answer = await fetch(box.dataset.watch, {
        headers: { Accept: "application/json" },
        cache: "no-store",
        signal: AbortSignal.timeout(8000),
      });
      // A session that ended, a payment that is gone: the page itself knows what to say.
      if (answer.status === 401 || answer.status === 403 || answer.status === 404 || answer.redirected) {
        location.reload();
        return;
      }
      if (answer.ok && (await answer.json()).final) {
        // While another click opens the provider's page, this one follows it there.
        if (box.dataset.watchNext) location.assign(box.dataset.watchNext);
        else location.reload();
        return;
      }
    } catch {
      // Away for a moment: ask again later.
    }
    if (slow && Date.now() - started > 60000) slow.hidden = false;
    wait = Math.min(wait * 1.4, 15000);
    asking = false;
    timer = setTimeout(ask, wait);
  }

  // Back from another tab (the bank's application, often): ask at once.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || asking) return;
    clearTimeout(timer);
    wait = 1500;
    ask();
  });
})();

// The basket says what is ticked, and one tick takes everything. The server adds up again: a help.
(() => {
  const euros = new Intl.NumberFormat(document.documentElement.lang, {
    style: "currency",
    currency: "EUR",
  });
  const form = document.querySelector("form.basket");
  const bar = form?.querySelector(".basket-bar");
  if (!bar) return;
  const all = form.elements.tout;
  const ticks = [...form.querySelectorAll("[data-cents]")];
  const total = bar.querySelector("[data-total]");
  const count = bar.querySelector("[data-count]");

  const show = () => {
    const chosen = ticks.filter((tick) => tick.checked);
    const cents = chosen.reduce((sum, tick) => sum + Number(tick.dataset.cents), 0);
    if (all) all.checked = chosen.length === ticks.length;
    bar.classList.toggle("empty-basket", chosen.length === 0);
    count.textContent =
      chosen.length === 0 ? bar.dataset.none
      : chosen.length === 1 ? bar.dataset.one
      : bar.dataset.many.replace("#", chosen.length);
    total.textContent = chosen.length ? euros.format(cents / 100) : "";
  };
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const tick of ticks) tick.checked = all.checked;
    show();
  });
  // Back by the browser's button, which ticks anew what was ticked.
  addEventListener("pageshow", () => {
    if (all?.checked) for (const tick of ticks) tick.checked = true;
    show();
  });
  show();
})();

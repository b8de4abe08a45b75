// Writes on the button what the ticked invoices come to. The server adds up again: this is a help.
(() => {
  const euros = new Intl.NumberFormat(document.documentElement.lang, {
    style: "currency",
    currency: "EUR",
  });
  for (const form of document.querySelectorAll("form.pick")) {
    const button = form.querySelector("[data-total]");
    if (!button) continue;
    const bare = button.textContent;
    const show = () => {
      const cents = [...form.querySelectorAll("input:checked")].reduce(
        (sum, input) => sum + Number(input.dataset.cents),
        0,
      );
      // The amount never leaves its label at the end of a line.
      button.textContent = cents ? `${form.dataset.button}\u00a0${euros.format(cents / 100)}` : bare;
    };
    form.addEventListener("change", show);
    addEventListener("pageshow", show);
    show();
  }
})();

// Forms: errors are read first; a form that should be sent once ignores a second click.
(() => {
  document.getElementById("errors")?.focus();
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
      form.querySelector("[type=submit]")?.setAttribute("aria-disabled", "true");
    });
    // Back by the browser's button: the page may come from its cache.
    addEventListener("pageshow", () => {
      delete form.dataset.sent;
      form.querySelector("[type=submit]")?.removeAttribute("aria-disabled");
    });
  }
})();

// The office's menu: an open group closes when one turns to something else.
(() => {
  const opened = () => document.querySelectorAll("details.group[open]");
  const leave = (target) => {
    for (const group of opened()) {
      if (!group.contains(target)) group.open = false;
    }
  };
  addEventListener("click", (event) => leave(event.target));
  addEventListener("focusin", (event) => leave(event.target));
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const group of opened()) {
      group.open = false;
      group.querySelector("summary").focus();
    }
  });
})();

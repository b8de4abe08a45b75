// One tap marks a child. What is tapped without a network stays in this telephone, also when the page
// is closed, and is sent until the server has answered. The server keeps the latest tap of each child.
(() => {
  const box = document.querySelector("[data-attendance]");
  if (!box) return;
  const place = `preau-taps:${box.dataset.attendance}`;
  const status = document.querySelector("[data-attendance-state]");
  let sending = false;

  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(place)) || {};
    } catch {
      return {};
    }
  };
  let kept = read();
  const keep = () => {
    try {
      localStorage.setItem(place, JSON.stringify(kept));
    } catch {
      // A telephone without storage: taps stay in the page and are sent from here.
    }
  };
  const paint = (form, mark) => {
    for (const button of form.querySelectorAll("button[name=mark]")) {
      button.setAttribute("aria-pressed", String(button.value === mark));
    }
  };
  const say = () => {
    const count = Object.keys(kept).length;
    status.textContent = count ? status.dataset.waiting.replace("%s", count) : status.dataset.done;
  };

  async function send() {
    if (sending) return;
    sending = true;
    try {
      for (const [name, tap] of Object.entries(kept)) {
        const body = new URLSearchParams({ ...tap, csrf_token: box.dataset.token, script: "1" });
        const answer = await fetch(box.action || box.dataset.action, {
          method: "POST",
          body,
          redirect: "manual",
          signal: AbortSignal.timeout(8000),
        });
        // 422: the server has read it and will never take it. All else is tried again.
        if (answer.status !== 204 && answer.status !== 422) break;
        if (answer.status === 422) status.dataset.done = await answer.text();
        if (kept[name] && kept[name].tapped === tap.tapped) delete kept[name];
        keep();
      }
    } catch {
      // No network: later.
    }
    sending = false;
    say();
  }

  for (const form of box.querySelectorAll("form")) {
    const name = `${form.elements.child.value}/${form.elements.service.value}/${form.elements.jour.value}`;
    if (kept[name]) paint(form, kept[name].mark);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const mark = event.submitter.value;
      kept[name] = {
        child: form.elements.child.value,
        service: form.elements.service.value,
        jour: form.elements.jour.value,
        mark,
        tapped: String(Date.now()),
      };
      keep();
      paint(form, mark);
      say();
      send();
    });
  }
  addEventListener("online", send);
  setInterval(send, 15000);
  say();
  send();
})();

// Shows new messages as they come. Without it, the page has « Actualiser ».
(async () => {
  const list = document.querySelector(".messages");
  const bottom = () => { list.scrollTop = list.scrollHeight; };
  bottom();
  document.querySelector(".reload").hidden = true;
  for (;;) {
    const mark = document.getElementById("fin");
    try {
      const answer = await fetch(`${list.dataset.source}?depuis=${mark.dataset.revision}`);
      if (!answer.ok) throw new Error(answer.status);
      const html = await answer.text();
      // The server escapes what it shows, and the page's policy lets nothing run.
      if (html !== list.innerHTML && !list.contains(document.activeElement)) {
        list.innerHTML = html;
        bottom();
      } else if (html !== list.innerHTML) {
        const at = [...list.querySelectorAll("a,button")].indexOf(document.activeElement);
        list.innerHTML = html;
        list.querySelectorAll("a,button")[at]?.focus();
      }
    } catch {
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
})();

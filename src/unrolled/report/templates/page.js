"use strict";
(function () {
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", function () {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const tip = document.getElementById("tip");
  let shown = null;
  function hide() {
    if (shown) { shown.classList.remove("found"); shown = null; }
    tip.hidden = true;
  }
  function show(point) {
    if (shown !== point) { hide(); }
    shown = point;
    point.classList.add("found");
    tip.textContent = point.dataset.tip;
    tip.hidden = false;
    const box = point.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 + 12), innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 10;
    tip.style.left = left + "px";
    tip.style.top = (above > 4 ? above : box.bottom + 10) + "px";
  }
  document.querySelectorAll("svg.chart").forEach(function (svg) {
    const points = Array.from(svg.querySelectorAll(".point"));
    if (!points.length) { return; }
    points[0].setAttribute("tabindex", "0");
    svg.addEventListener("pointermove", function (event) {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
      let best = null, least = 1600;
      for (const point of points) {
        const dx = point.dataset.x - x, dy = point.dataset.y - y, away = dx * dx + dy * dy;
        if (away < least) { least = away; best = point; }
      }
      if (best) { show(best); } else { hide(); }
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("focusin", function (event) {
      const point = event.target.closest(".point");
      if (point) { show(point); }
    });
    svg.addEventListener("focusout", hide);
    svg.addEventListener("keydown", function (event) {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") { hide(); }
      if (!step) { return; }
      event.preventDefault();
      const at = points.indexOf(document.activeElement);
      const next = points[(Math.max(at, 0) + step + points.length) % points.length];
      points.forEach(function (point) { point.setAttribute("tabindex", point === next ? "0" : "-1"); });
      next.focus();
    });
  });
})();

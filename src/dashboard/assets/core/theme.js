// Light or dark, before anything is drawn: as the system has it, or as somebody chose here. A plain script within
// the page, not a module, so that it runs first.
(() => {
  const PLACE = "postrider.theme";
  const root = document.documentElement;
  let theme = "auto";
  try {
    theme = localStorage.getItem(PLACE) ?? "auto";
  } catch {
    // Storage is turned off: as the system has it.
  }
  root.dataset.theme = theme;
  window.postriderTheme = {
    get: () => root.dataset.theme,
    set(next) {
      root.dataset.theme = next;
      try {
        localStorage.setItem(PLACE, next);
      } catch {
        // It holds until the page is left.
      }
      dispatchEvent(new Event("themechange"));
    },
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
})();

// Saved cards are dark where JupyterLab's attribute says so; the theme has an attribute of its own.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followTheme = () => {
  const theme = document.body.dataset.theme;
  document.body.dataset.jpThemeLight = theme === "light" || (theme !== "dark" && !dark.matches);
};

// What the theme omits for keyboards and screen readers.
const completeMarkup = () => {
  for (const block of document.querySelectorAll("pre")) block.tabIndex = 0;
  for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = 2;
  document.querySelector(".sidebar-drawer").ariaLabel = "Pages";
  document.querySelector(".toc-drawer").ariaLabel = "On this page";
};

document.addEventListener("DOMContentLoaded", () => {
  new MutationObserver(followTheme).observe(document.body, { attributeFilter: ["data-theme"] });
  dark.addEventListener("change", followTheme);
  followTheme();
  completeMarkup();
});

// The colours that were chosen, before the first paint.
"use strict";
{
  const chosen = localStorage.getItem("fusebox-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

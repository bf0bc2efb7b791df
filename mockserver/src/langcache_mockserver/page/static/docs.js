"use strict";
const FONT = "system-ui, sans-serif";
const dark = matchMedia("(prefers-color-scheme: dark)");
// The colours of page.css in dark mode.
const DARK = {
  colors: {
    primary: { main: "#9db2ff" },
    success: { main: "#6fd3a0" },
    warning: { main: "#f0c060" },
    error: { main: "#ff9b92" },
    gray: { 50: "#1a1f28", 100: "#2c3340" },
    text: { primary: "#e6e9ef", secondary: "#a3adbd" },
    border: { dark: "#6d7688", light: "#2c3340" },
    responses: {
      success: { color: "#6fd3a0", backgroundColor: "#173527" },
      error: { color: "#ff9b92", backgroundColor: "#43201d" },
      redirect: { color: "#f0c060", backgroundColor: "#3a2e14" },
      info: { color: "#9db2ff", backgroundColor: "#1a1f28" },
    },
  },
  schema: {
    linesColor: "#6d7688", nestedBackground: "#1a1f28", defaultDetailsWidth: "75%",
    typeNameColor: "#a3adbd", typeTitleColor: "#a3adbd", requireLabelColor: "#ff9b92",
  },
  sidebar: { backgroundColor: "#1a1f28", textColor: "#e6e9ef", activeTextColor: "#9db2ff" },
  rightPanel: { backgroundColor: "#1a1f28" },
  codeBlock: { backgroundColor: "#12151b" },
};
const theme = dark.matches ? DARK : {};
theme.typography = {
  fontFamily: FONT, headings: { fontFamily: FONT },
  code: dark.matches ? { color: "#ffb4a8", backgroundColor: "#2a303b" } : {},
  links: dark.matches ? { color: "#9db2ff", visited: "#9db2ff", hover: "#c3d0ff" } : {},
};
Redoc.init(
  document.body.dataset.document,
  { disableSearch: true, hideDownloadButtons: false, hideHostname: true, nativeScrollbars: true, theme },
  document.getElementById("reference"),
);
dark.addEventListener("change", () => location.reload());

"use strict";
Redoc.init(
  document.body.dataset.document,
  { disableSearch: true, hideDownloadButtons: false, hideHostname: true, nativeScrollbars: true,
    theme: { typography: { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } } } },
  document.getElementById("reference"),
);

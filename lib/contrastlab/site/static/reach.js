// What is wider than the page scrolls, and the keyboard must reach it. The theme looks once, before formulas and
// figures have their sizes; this looks whenever a size changes.

const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});

const WIDE = "article pre, article .cell_output > .output, article .pst-scrollable-table-container, article div.math";
document.querySelectorAll(WIDE).forEach((element) => watcher.observe(element));

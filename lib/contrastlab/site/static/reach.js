// What is wider than the page scrolls, and the keyboard must reach it. The theme looks once, before formulas and
// figures have their sizes; this looks whenever a size changes.

const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const place = target.scrollWidth > target.clientWidth ? 0 : -1;
    if (target.tabIndex !== place) target.tabIndex = place;
  }
});

const WIDE = ["pre", ".cell_output > .output", ".pst-scrollable-table-container", ".math"].map((e) => `article ${e}`);
document.querySelectorAll(WIDE).forEach((element) => watcher.observe(element));

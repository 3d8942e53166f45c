// Brings the book's interactive figures to life on a page without a kernel: each is an ES module in ./widgets/.

// What the figures ask of the model that anywidget gives them in Jupyter.
function staticModel(state) {
  const handlers = {};
  return {
    get: (name) => state[name],
    set(name, value) {
      if (Object.is(state[name], value)) return;
      state[name] = value;
      [...(handlers[`change:${name}`] ?? [])].forEach((handler) => handler());
    },
    on(event, handler) { (handlers[event] ??= new Set()).add(handler); },
    off(event, handler) { handlers[event]?.delete(handler); },
    save_changes() {},
  };
}

async function mount(figure) {
  const stage = document.createElement("div");
  try {
    const { default: widget } = await import(new URL(`./widgets/${figure.dataset.module}`, import.meta.url));
    const still = [...figure.childNodes];
    figure.append(stage); // in the page before it renders, so that it can measure its width
    await widget.render({ model: staticModel(JSON.parse(figure.dataset.model)), el: stage });
    still.forEach((node) => node.remove());
    figure.dataset.mounted = "1";
  } catch (error) {
    stage.className = "contrastlab-note";
    stage.textContent = `This figure could not be made interactive: ${error.message}`;
    figure.append(stage); // an error may come before it was in the page
  }
}

document.querySelectorAll(".contrastlab-figure").forEach(mount);

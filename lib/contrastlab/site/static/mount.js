// Brings the book's interactive figures to life on a page without a kernel: each is an ES module in ./widgets/.

function staticModel(state) {
  const handlers = {};
  const call = (event) => [...(handlers[event] ?? [])].forEach((handler) => handler());
  return {
    get: (name) => state[name],
    set(name, value) {
      if (Object.is(state[name], value)) return;
      state[name] = value;
      call(`change:${name}`);
      call("change");
    },
    on(event, handler) { (handlers[event] ??= new Set()).add(handler); },
    off(event, handler) { handler ? handlers[event]?.delete(handler) : delete handlers[event]; },
    save_changes() {},
    send() {},
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
    stage.replaceChildren();
    figure.append(Object.assign(stage, { className: "contrastlab-note", textContent: `This figure could not be made interactive: ${error.message}` }));
  }
}

document.querySelectorAll(".contrastlab-figure").forEach(mount);

// Stands in for what a front end gives to a part of the panel: a model, its manager, a kernel.

window.fakePart = async (source, traits) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const module = await import(url);
  const handlers = {};
  const listeners = [];
  const kernel = {
    status: "idle",
    statusChanged: {
      connect: (listener) => listeners.push(listener),
      disconnect: (listener) => listeners.splice(listeners.indexOf(listener), 1),
    },
  };
  const model = {
    sent: [],
    get: (name) => traits[name],
    set(name, value) {
      traits[name] = value;
      for (const [names, all] of Object.entries(handlers)) {
        if (names.split(" ").includes(`change:${name}`)) all.forEach((handler) => handler());
      }
    },
    save_changes: () => {},
    on: (name, handler) => (handlers[name] ??= []).push(handler),
    off: () => {},
    send: (content) => model.sent.push(content),
    widget_manager: { kernel, has_model: () => false, get_model: async () => model },
  };
  const el = document.createElement("div");
  document.body.innerHTML = '<div class="kling-panel"></div>';
  document.body.firstChild.append(el);
  const stop = module.default.render({ model, el });
  window.part = {
    model,
    listeners,
    stop,
    become(status) {
      kernel.status = status;
      for (const listener of [...listeners]) listener(kernel, status);
    },
    tell: (message) => handlers["msg:custom"].forEach((handler) => handler(message)),
  };
};

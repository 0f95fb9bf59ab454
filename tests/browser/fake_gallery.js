// Stands in for a kernel that shows a gallery: it answers when the test says so.

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

window.showGallery = async (source, first, stills) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const module = await import(url);
  const handlers = [];
  const state = {
    asked: { words: "", model: "", starred: false, hidden: false },
    first: { ...first, stills: stills.map(bytes) },
  };
  const kernel = {
    sent: [],
    manager: { resolveUrl: async (href) => `/files/${href}` },
    // The last question of a kind, once more with its answer, as the kernel sends it.
    answer(word, reply, films = []) {
      const asked = this.sent.findLast((content) => content.do === word);
      for (const handler of handlers) handler({ ...asked, ...reply }, films.map(bytes));
    },
    // A clip that has changed, as the kernel tells every page of it.
    change(clip, told, stills = [], id = clip.id) {
      const { view } = this.sent.findLast((content) => content.do === "list");
      const message = { do: "change", id, clip, views: { [view]: told, other: {} } };
      for (const handler of handlers) handler(message, stills.map(bytes));
    },
  };
  const model = {
    get: (name) => state[name],
    on: (_, handler) => handlers.push(handler),
    off: (_, handler) => handlers.splice(handlers.indexOf(handler), 1),
    send: (content) => kernel.sent.push(content),
    widget_manager: kernel.manager,
  };
  const el = document.createElement("div");
  document.body.append(el);
  kernel.close = module.default.render({ model, el });
  window.kernel = kernel;
};

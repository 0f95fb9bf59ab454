// Stands in for what a front end gives to a widget's module: a model, its manager, its views.

const Watching = MutationObserver;

window.fakeHub = async (source, hub, isLive = true, outputs = []) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const module = await import(url);
  const handlers = {};
  const fake = {
    sent: [],
    views: 0,
    isLive,
    removed: 0,
    outputs: [],
    noticed: 0, // how often the module was told of changes of the page
    trigger(name, ...given) {
      for (const handler of handlers[name] ?? []) handler(...given);
    },
    tell(content) {
      this.trigger("msg:custom", content);
    },
  };
  const manager = {
    has_model: () => true,
    get_model: async (id) => (id === hub ? { comm_live: fake.isLive } : {}),
    resolveUrl: async (href) => `/files/notebooks/${href}`,
    create_view: async () => {
      fake.views += 1;
      const el = document.createElement("textarea");
      const remove = () => {
        fake.removed += 1;
        el.remove();
      };
      return { el, remove };
    },
  };
  const model = {
    get: () => hub,
    on: (name, handler) => (handlers[name] ??= []).push(handler),
    send: (content) => fake.sent.push(content),
    widget_manager: manager,
  };
  // A document whose outputs are drawn anew when they are set, as JupyterLab's is.
  fake.openDocument = (...outputs) => {
    fake.outputs = outputs;
    const list = {
      get length() {
        return fake.outputs.length;
      },
      get: (index) => ({ ...fake.outputs[index], toJSON: () => fake.outputs[index] }),
      set: (index, output) => {
        fake.outputs[index] = output;
        document.querySelectorAll(".output")[index].innerHTML = output.data["text/html"];
      },
    };
    const cells = { length: 2, get: (at) => (at ? { outputs: list } : {}) };
    manager.context = { model: { cells } };
  };
  window.MutationObserver = class extends Watching {
    constructor(tell) {
      super((...given) => {
        fake.noticed += 1;
        tell(...given);
      });
    }
  };
  Object.assign(fake, { manager, model });
  if (outputs.length) fake.openDocument(...outputs);
  fake.stop = module.default.initialize({ model });
  (window.fakes ??= {})[hub] = fake;
  // The module asks first whether a kernel is there.
  await new Promise((resolve) => setTimeout(resolve));
};

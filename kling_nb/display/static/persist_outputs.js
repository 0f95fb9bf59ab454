// Writes updates into the notebook of a reloaded page. There JupyterLab no longer knows the output of
// an update, and would save the old one. So the script changes the document as the update would have.

const HEAD_CHARS = 1000;
const CONTAINER = /data-kling-hub="(\w+)" data-kling-place="(\w+)" data-kling-version="(\d+)"/;

// Returns hub, place and version of the container in a bundle, or null.
function containerOf(bundle) {
  const markup = [bundle?.["text/html"] ?? ""].flat().join("").slice(0, HEAD_CHARS);
  const [found, hub, place, version] = CONTAINER.exec(markup) ?? [];
  return found ? { hub, place, version: Number(version) } : null;
}

// Lists the outputs of the notebook; none without a document.
function outputsOf(manager) {
  const cells = manager.context?.model?.cells;
  const found = [];
  for (let at = 0; at < (cells?.length ?? 0); at += 1) {
    const outputs = cells.get(at).outputs;
    for (let index = 0; index < (outputs?.length ?? 0); index += 1) {
      found.push({ outputs, index, output: outputs.get(index) });
    }
  }
  return found;
}

function setBundle(outputs, index, bundle) {
  outputs.set(index, { ...outputs.get(index).toJSON(), data: bundle });
}

// Updates the outputs with the container, and returns their number; null without a document.
function updateOutputs(manager, place, version, bundle) {
  if (!manager.context?.model?.cells) return null;
  let updated = 0;
  for (const { outputs, index, output } of outputsOf(manager)) {
    const container = containerOf(output.data);
    if (container?.place !== place) continue;
    if (container.version < version) setBundle(outputs, index, bundle);
    updated += 1;
  }
  return updated;
}

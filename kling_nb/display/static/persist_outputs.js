// What a reloaded page gets from the kernel, put into its notebook. JupyterLab forgets with the page
// which output an update belongs to, so the saved notebook would keep the old one. Its document is
// changed as an update would have changed it.

const HEAD_CHARS = 1000;

function versionOf(output, place) {
  const markup = [output.data?.["text/html"] ?? ""].flat().join("").slice(0, HEAD_CHARS);
  const found = markup.match(/data-kling-place="(\w+)" data-kling-version="(\d+)"/);
  return found?.[1] === place ? Number(found[2]) : null;
}

// How many outputs of the document show the place as it is in this bundle; null without a document.
function keep(manager, place, version, bundle) {
  const cells = manager.context?.model?.cells;
  if (!cells) return null;
  let kept = 0;
  for (let at = 0; at < cells.length; at += 1) {
    const outputs = cells.get(at).outputs;
    for (let index = 0; index < (outputs?.length ?? 0); index += 1) {
      const output = outputs.get(index);
      const shown = versionOf(output, place);
      if (shown === null) continue;
      if (shown < version) outputs.set(index, { ...output.toJSON(), data: bundle });
      kept += 1;
    }
  }
  return kept;
}

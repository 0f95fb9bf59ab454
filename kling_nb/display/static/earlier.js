// Cards that earlier kernels left in the notebook. The kernel gets those that may have changed since,
// and sends new outputs for them.

const CARD_MIME = "application/vnd.kling-nb.card+json";

// Returns the state of each job in each container of other hubs. A saved clip does not change, and
// in a notebook that is not trusted nothing is replaced.
function findEarlier(manager, hub) {
  const found = {};
  for (const { outputs, output } of outputsOf(manager)) {
    const container = containerOf(output.data);
    if (!container || container.hub === hub || outputs.trusted === false) continue;
    const cards = output.data[CARD_MIME]?.cards ?? [];
    if (cards.every(({ state }) => state === "saved")) continue;
    found[container.place] = Object.fromEntries(cards.map(({ id, state }) => [id, state]));
  }
  return found;
}

// Puts a bundle in place of an earlier container, or of an older version of the new one.
function replaceEarlier(manager, earlier, bundle) {
  const next = containerOf(bundle);
  for (const { outputs, index, output } of outputsOf(manager)) {
    const container = containerOf(output.data);
    const isOlder = container?.place === next.place && container.version < next.version;
    if (container?.place === earlier || isOlder) setBundle(outputs, index, bundle);
  }
}

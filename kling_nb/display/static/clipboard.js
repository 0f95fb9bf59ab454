// Copies text. Part of every module that copies.

const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

// The keys to copy a selection.
const COPY_KEYS = IS_MAC ? "⌘C" : "Ctrl+C";

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // In an insecure page, or without permission, the old API works within a click.
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.style.cssText = "position: fixed; opacity: 0";
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    focused?.focus?.({ preventScroll: true });
    return isDone;
  }
}

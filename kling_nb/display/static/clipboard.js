// The one way to the clipboard. Every module that copies has it in front of its own text.

const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

// What a person presses where no page may copy.
const COPY_KEYS = IS_MAC ? "⌘C" : "Ctrl+C";

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Not a secure page, or not allowed there: the old way works in a click.
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
